//! The whole cycle of one memory, ours compared with wasmtime's pooling allocator.
//!
//! A memory of 16 MiB with an image of 1 MiB is initialised, one byte is written to each of
//! some pages, spread as far apart as possible, and the memory is reset. Estimate: both must
//! find and rewrite the same pages. With few pages, the difference is the rest of an instance,
//! which a module without a memory measures; with many pages, it is whether they were found.
//! Goal: never slower, and with 64 pages or more at most a quarter of the time of wasmtime
//! 48.0.8.
//!
//! wasmtime's settings: a pagemap scan, with all pages allowed to stay resident; the same with
//! batched decommits; and the default, which decommits all pages. With feature `next`, which
//! needs a newer compiler, also wasmtime 50.0.1.

extern crate alloc;

#[allow(dead_code, reason = "shared between benches")]
mod cycle;
#[path = "../../../src/bench/paired.rs"]
mod paired;

use core::convert::Infallible;
use core::time::Duration;

use self::cycle::workload::{timed, touch};
use self::cycle::{Cycle, Pool, Setting, Slot, Wasmtime, assert_initial_contents};
use self::paired::{Way, measure};

/// The placement of pages in physical memory, and so in caches, is random: each figure is the
/// median over this many fresh sets of memories.
const N_SETS: usize = 5;

fn theirs() -> Vec<(&'static str, Box<dyn Cycle>)> {
    let of = |setting| Box::new(Wasmtime::new(setting)) as Box<dyn Cycle>;
    #[cfg_attr(
        not(feature = "next"),
        allow(unused_mut, reason = "without `next`, nothing is added")
    )]
    let mut all = vec![
        ("wasmtime 48.0.8, pagemap scan", of(Setting::SCAN)),
        (
            "wasmtime 48.0.8, pagemap scan, batch of 16",
            of(Setting::SCAN_AND_BATCH),
        ),
        ("wasmtime 48.0.8, decommit", of(Setting::DECOMMIT)),
        ("wasmtime 48.0.8, no memory at all", of(Setting::NO_MEMORY)),
    ];
    #[cfg(feature = "next")]
    {
        use self::cycle::WasmtimeNext;
        let of = |setting| Box::new(WasmtimeNext::new(setting)) as Box<dyn Cycle>;
        all.push(("wasmtime 50.0.1, pagemap scan", of(Setting::SCAN)));
        all.push((
            "wasmtime 50.0.1, pagemap scan, batch of 16",
            of(Setting::SCAN_AND_BATCH),
        ));
        all.push(("wasmtime 50.0.1, decommit", of(Setting::DECOMMIT)));
        all.push(("wasmtime 50.0.1, no memory at all", of(Setting::NO_MEMORY)));
    }
    all
}

/// Returns, for each way, the median time and its ratio to our slot.
fn one(n_pages: usize, time: Duration) -> Vec<(&'static str, [f64; 2])> {
    let mut slot = Slot::new();
    let pool = Pool::new(16, None);
    let mut others = theirs();
    others.insert(0, ("our pool", Box::new(pool)));
    let mut ways: Vec<Way<'_, Infallible>> = vec![Way::new(|n| {
        Ok(timed(n, || {
            slot.cycle(&mut |memory| touch(memory, n_pages));
        }))
    })];
    let mut names = vec!["our slot"];
    for (name, other) in &others {
        names.push(name);
        ways.push(Way::new(|n| {
            Ok(timed(n, || {
                other.cycle(&mut |memory| touch(memory, n_pages));
            }))
        }));
    }
    let Ok(()) = measure(&mut ways, time, 1);
    let figures = ways.iter().map(|way| [way.median(), way.ratio(&ways[0])]);
    let figures = names.into_iter().zip(figures).collect();
    drop(ways);

    slot.cycle(&mut |memory| assert_initial_contents(memory));
    for (_, other) in &others {
        other.cycle(&mut |memory| assert_initial_contents(memory));
    }
    figures
}

fn main() {
    // `cargo bench` passes `--bench`. Otherwise this is a test, and one round is enough.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let (time, n_sets) = if is_bench {
        (Duration::from_secs(1), N_SETS)
    } else {
        (Duration::ZERO, 1)
    };
    // `-- 64 1024` measures only these numbers of pages.
    let mut wanted: Vec<usize> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    if wanted.is_empty() {
        wanted.extend([0, 1, 4, 16, 64, 256, 1024]);
    }
    println!("whole cycle in ns, and ratio to our slot");
    for n_pages in wanted {
        println!("{n_pages} pages");
        let sets: Vec<_> = (0..n_sets).map(|_| one(n_pages, time)).collect();
        for (nth, (name, _)) in sets[0].iter().enumerate() {
            let figure =
                |which: usize| paired::median(sets.iter().map(|set| set[nth].1[which]).collect());
            println!("  {name:42} {:9.0} {:7.3}x", figure(0), figure(1));
        }
    }
}
