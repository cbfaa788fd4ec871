//! The whole cycle of one memory, ours against wasmtime's pooling allocator.
//!
//! An image of 1 MiB in a memory of 16 MiB: made ready, one byte written to each of some
//! pages as far apart as they can be, brought back to the first state. The sketch: both
//! must find and rewrite the same pages, so that with few of them what differs is what
//! else an instance is (a module without a memory shows how much), and with many whether
//! they were found. The goal: never slower, and with 64 pages or more at most a quarter
//! of 48.0.8.
//!
//! Its settings: a scan for pages that were written, with room for all of them to stay
//! resident; the same with decommits in batches; and as it comes, which lets all pages go.
//! With feature `next`, and a compiler that is new enough, against 50.0.1 too.

extern crate alloc;

#[allow(dead_code, reason = "shared between benches")]
mod cycle;
#[path = "../../../src/bench/paired.rs"]
mod paired;

use core::convert::Infallible;
use core::time::Duration;

use self::cycle::workload::{timed, touch};
use self::cycle::{Cycle, Pool, Setting, Slot, Wasmtime, assert_first_state};
use self::paired::{Way, measure};

/// Where pages of a process are in physical memory, and so in caches, is chance: each
/// figure is the median of so many fresh sets of memories.
const N_SETS: usize = 5;

fn theirs() -> Vec<(&'static str, Box<dyn Cycle>)> {
    let of = |setting| Box::new(Wasmtime::new(setting)) as Box<dyn Cycle>;
    #[cfg_attr(not(feature = "next"), allow(unused_mut, reason = "nothing to add"))]
    let mut all = vec![
        ("48.0.8, scan", of(Setting::SCAN)),
        ("48.0.8, scan, batch of 16", of(Setting::SCAN_AND_BATCH)),
        ("48.0.8, drop", of(Setting::DROP)),
        ("48.0.8, no memory at all", of(Setting::NO_MEMORY)),
    ];
    #[cfg(feature = "next")]
    {
        use self::cycle::WasmtimeNext;
        let of = |setting| Box::new(WasmtimeNext::new(setting)) as Box<dyn Cycle>;
        all.push(("50.0.1, scan", of(Setting::SCAN)));
        all.push(("50.0.1, scan, batch of 16", of(Setting::SCAN_AND_BATCH)));
        all.push(("50.0.1, drop", of(Setting::DROP)));
        all.push(("50.0.1, no memory at all", of(Setting::NO_MEMORY)));
    }
    all
}

/// Median, and how many times as long as our slot, of each way.
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

    slot.cycle(&mut |memory| assert_first_state(memory));
    for (_, other) in &others {
        other.cycle(&mut |memory| assert_first_state(memory));
    }
    figures
}

fn main() {
    // `cargo bench` says `--bench`. Otherwise it is a test, and once is enough.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let (time, n_sets) = if is_bench {
        (Duration::from_secs(1), N_SETS)
    } else {
        (Duration::ZERO, 1)
    };
    // `-- 64 1024` measures those alone.
    let mut wanted: Vec<usize> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    if wanted.is_empty() {
        wanted.extend([0, 1, 4, 16, 64, 256, 1024]);
    }
    println!("whole cycle, ns, and against our slot");
    for n_pages in wanted {
        println!("{n_pages} pages");
        let sets: Vec<_> = (0..n_sets).map(|_| one(n_pages, time)).collect();
        for (nth, (name, _)) in sets[0].iter().enumerate() {
            let figure =
                |which: usize| paired::median(sets.iter().map(|set| set[nth].1[which]).collect());
            println!("  {name:28} {:9.0} {:7.3}x", figure(0), figure(1));
        }
    }
}
