//! The throughput of four threads on one pool, ours compared with wasmtime's pooling allocator.
//!
//! Each use initialises a memory of 16 MiB with an image of 1 MiB, writes a byte to some of its
//! pages, and resets it. Estimate: threads contend only in the kernel, for the lock of the
//! process's mappings, which a use needs only for a scan, and for no lock of the pool. Goal:
//! four threads gain no less over one thread than with wasmtime.
//!
//! All ways take turns in each round; the output gives medians, and medians of the ratios
//! within rounds.

extern crate alloc;

#[allow(dead_code, reason = "shared between benches")]
mod cycle;
#[path = "../../../src/bench/paired.rs"]
mod paired;

use core::convert::Infallible;
use core::num::NonZeroUsize;
use core::time::Duration;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use self::cycle::workload::touch;
use self::cycle::{Cycle, Pool, Setting, Wasmtime, assert_initial_contents};
use self::paired::{Way, measure};

const N_THREADS: usize = 4;

/// Uses in a round by all threads: enough for each thread to run for several time slices of the
/// scheduler. Otherwise the result would depend on when the threads start.
const fn n_uses(n_pages: usize) -> u32 {
    match n_pages {
        0..4 => 32_000,
        4..64 => 8_000,
        _ => 2_000,
    }
}

/// A source of memories, shared by `n_threads` threads.
struct Shared {
    name: &'static str,
    memories: Box<dyn Cycle>,
    n_threads: usize,
}

/// Returns all sources, each after the one that it is compared with.
fn all() -> Vec<Shared> {
    let one_shard = Some(NonZeroUsize::MIN);
    #[cfg_attr(
        not(feature = "next"),
        allow(unused_mut, reason = "without `next`, nothing is added")
    )]
    let mut all = vec![
        shared("ours", 1, Pool::new(16, None)),
        shared("ours", N_THREADS, Pool::new(16, None)),
        shared("ours, one shard", N_THREADS, Pool::new(16, one_shard)),
        shared(
            "wasmtime 48.0.8, pagemap scan",
            1,
            Wasmtime::new(Setting::SCAN),
        ),
        shared(
            "wasmtime 48.0.8, pagemap scan",
            N_THREADS,
            Wasmtime::new(Setting::SCAN),
        ),
        shared(
            "wasmtime 48.0.8, pagemap scan, batch of 16",
            N_THREADS,
            Wasmtime::new(Setting::SCAN_AND_BATCH),
        ),
    ];
    #[cfg(feature = "next")]
    {
        use self::cycle::WasmtimeNext;
        let of = || WasmtimeNext::new(Setting::SCAN);
        all.push(shared("wasmtime 50.0.1, pagemap scan", 1, of()));
        all.push(shared("wasmtime 50.0.1, pagemap scan", N_THREADS, of()));
        all.push(shared(
            "wasmtime 50.0.1, pagemap scan, batch of 16",
            N_THREADS,
            WasmtimeNext::new(Setting::SCAN_AND_BATCH),
        ));
    }
    all
}

fn shared(name: &'static str, n_threads: usize, memories: impl Cycle + 'static) -> Shared {
    Shared {
        name,
        memories: Box::new(memories),
        n_threads,
    }
}

/// Measures `n` times as many uses by all threads together, from the moment all are ready.
fn round(shared: &Shared, n: u32, n_pages: usize) -> Duration {
    let start = Barrier::new(shared.n_threads + 1);
    let n_threads = u32::try_from(shared.n_threads).expect("few");
    let uses = |n: u32| {
        for _ in 0..n {
            shared.memories.cycle(&mut |memory| touch(memory, n_pages));
        }
    };
    let begun = thread::scope(|scope| {
        for _ in 0..shared.n_threads {
            scope.spawn(|| {
                // The first uses find or create the thread's memory.
                uses(4);
                start.wait();
                uses(n * n_uses(n_pages) / n_threads);
            });
        }
        start.wait();
        Instant::now()
    });
    begun.elapsed()
}

fn one(n_pages: usize, time: Duration) {
    let all = all();
    let mut ways: Vec<Way<'_, Infallible>> = all
        .iter()
        .map(|shared| Way::new(|n| Ok(round(shared, n, n_pages))))
        .collect();
    let Ok(()) = measure(&mut ways, time, 1);
    println!("{n_pages} pages");
    let mut alone = 0;
    for (nth, shared) in all.iter().enumerate() {
        if shared.n_threads == 1 {
            alone = nth;
        }
        println!(
            "  {:42} {} threads {:9.0} ns  {:6.2}x of one thread  {:6.2}x of ours",
            shared.name,
            shared.n_threads,
            ways[nth].median() / f64::from(n_uses(n_pages)),
            1.0 / ways[nth].ratio(&ways[alone]),
            1.0 / ways[nth].ratio(&ways[usize::from(shared.n_threads != 1)]),
        );
    }
    drop(ways);
    for shared in &all {
        shared
            .memories
            .cycle(&mut |memory| assert_initial_contents(memory));
    }
}

fn main() {
    // `cargo bench` passes `--bench`. Otherwise this is a test, and one round is enough.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let time = Duration::from_secs(if is_bench { 15 } else { 0 });
    println!("time per use, over all threads, and throughput");
    for n_pages in [0, 1, 16, 64, 256] {
        one(n_pages, time);
    }
}
