//! Measures the throughput of four threads on one pool, and the overhead of the pool.
//!
//! A use acquires a memory of 16 MiB with an image of 1 MiB, writes to some of its pages,
//! and ends. All configurations do the same, in turn, round by round. The output shows
//! medians, and ratios of medians: of the elapsed time, which gives the throughput, and
//! of the processor time in it, which stays accurate while other programs use the
//! machine. The lower bound is one slot per thread without a pool. A use of a memory
//! without bytes makes no system call, and so measures the pool alone.

extern crate alloc;

use alloc::sync::Arc;
use core::num::NonZeroUsize;
use core::time::Duration;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use wasm_meminit_apply::{MemoryImage, MemorySlot, PoolConfig, SlotConfig, SlotPool};
use wasm_meminit_image_builder::Image;

const MEMORY_BYTES: u64 = 16 << 20;
const IMAGE_BYTES: usize = 1 << 20;
const HOST_PAGE: usize = 4096;
/// How many pages each use writes to; the first entry is a memory that has none.
const PAGES: [Option<usize>; 4] = [None, Some(0), Some(16), Some(64)];

/// A configuration: a number of threads, and where their memories come from.
struct Setup {
    name: &'static str,
    n_threads: usize,
    /// `None`: one slot for each thread, and no pool.
    pool: Option<SlotPool>,
}

fn image() -> Arc<MemoryImage> {
    let image = Image::capture(&vec![7; IMAGE_BYTES]).expect("small");
    Arc::new(MemoryImage::new(image.as_ref()).expect("room"))
}

fn setups() -> [Setup; 5] {
    let n = |n| NonZeroUsize::new(n).expect("not zero");
    let config = PoolConfig::new(SlotConfig::new(MEMORY_BYTES), n(16));
    let setup = |name, n_threads, config| Setup {
        name,
        n_threads,
        pool: Some(SlotPool::new(config)),
    };
    [
        Setup {
            name: "4 threads, no pool",
            n_threads: 4,
            pool: None,
        },
        setup("1 thread", 1, config),
        setup("4 threads, 1 shard", 4, config.with_shards(n(1))),
        setup("4 threads, 4 shards", 4, config.with_shards(n(4))),
        setup("4 threads, a shard per processor", 4, config),
    ]
}

/// Writes to `n_pages` pages, as far apart as they can be.
fn touch(memory: &mut [u8], n_pages: usize) {
    for nth in 0..n_pages {
        let page = memory.len() / HOST_PAGE / n_pages * nth;
        memory[page * HOST_PAGE] = 1;
    }
}

fn uses(setup: &Setup, image: &Arc<MemoryImage>, n_pages: Option<usize>, n_uses: usize) {
    let bytes = n_pages.map_or(0, |_| MEMORY_BYTES);
    let image = n_pages.map(|_| image);
    let n_pages = n_pages.unwrap_or(0);
    match &setup.pool {
        Some(pool) => {
            for _ in 0..n_uses {
                let mut slot = pool.acquire(image, bytes).expect("room");
                touch(slot.as_mut_slice(), n_pages);
            }
        }
        None => {
            let mut slot = MemorySlot::new(&SlotConfig::new(MEMORY_BYTES)).expect("room");
            for _ in 0..n_uses {
                slot.instantiate(image, bytes).expect("room");
                touch(slot.as_mut_slice(), n_pages);
                slot.reset().expect("resets");
            }
        }
    }
}

/// The cost of a use, over all threads.
#[derive(Clone, Copy, Debug)]
struct Cost {
    passed: Duration,
    /// Processor time of all threads; the elapsed time if that is unknown.
    processors: Duration,
}

#[cfg(target_os = "linux")]
fn processor_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).ok()
}

#[cfg(not(target_os = "linux"))]
const fn processor_time() -> Option<Duration> {
    None
}

fn round(setup: &Setup, image: &Arc<MemoryImage>, n_pages: Option<usize>, n_uses: usize) -> Cost {
    let start = Barrier::new(setup.n_threads + 1);
    let n_each = n_uses / setup.n_threads;
    let (before, begun) = thread::scope(|scope| {
        for _ in 0..setup.n_threads {
            scope.spawn(|| {
                // The first use finds or creates the thread's slot.
                uses(setup, image, n_pages, 1);
                start.wait();
                uses(setup, image, n_pages, n_each);
            });
        }
        let before = processor_time();
        start.wait();
        (before, Instant::now())
    });
    let n_uses = u32::try_from(n_each * setup.n_threads).expect("few");
    let passed = begun.elapsed();
    let processors = before.and_then(|before| processor_time()?.checked_sub(before));
    Cost {
        passed: passed / n_uses,
        processors: processors.unwrap_or(passed) / n_uses,
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn print(n_pages: Option<usize>, setups: &[Setup; 5], costs: &[Vec<Cost>; 5]) {
    let of = |time: fn(&Cost) -> Duration| {
        let median = |costs: &Vec<Cost>| median(costs.iter().map(time).collect()).as_secs_f64();
        costs.each_ref().map(median)
    };
    let what = n_pages.map_or("no memory".to_owned(), |n| format!("{n} pages"));
    let (passed, processors) = (of(|cost| cost.passed), of(|cost| cost.processors));
    for (setup, (here, busy)) in setups.iter().zip(passed.iter().zip(&processors)) {
        println!(
            "{what:9}  {:32}  {:6.2} µs {:5.2}x   {:6.2} µs of processors {:5.2}x",
            setup.name,
            here * 1e6,
            passed[1] / here,
            busy * 1e6,
            processors[1] / busy,
        );
    }
}

fn main() {
    // `cargo test` runs benches too, only to check that they work.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let (n_rounds, n_uses) = if is_bench { (25, 4000) } else { (1, 40) };
    let image = image();
    let n_processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    println!("{n_processors} processors; per use, over all threads; x: against 1 thread");
    for n_pages in PAGES {
        // New pools each time: slots have held other images, or none.
        let setups = setups();
        // Short uses are repeated more often, or a round would be over before all threads
        // run.
        let n_uses = if n_pages.unwrap_or(0) == 0 {
            8 * n_uses
        } else {
            n_uses
        };
        let mut costs = setups.each_ref().map(|_| Vec::new());
        for _ in 0..n_rounds {
            for (setup, costs) in setups.iter().zip(&mut costs) {
                costs.push(round(setup, &image, n_pages, n_uses));
            }
        }
        print(n_pages, &setups, &costs);
        for setup in &setups {
            let stats = setup.pool.as_ref().map(SlotPool::stats).unwrap_or_default();
            assert!(stats.n_slots <= 4, "{}: {stats:?}", setup.name);
            assert_eq!(stats.n_maps, 0, "{}: {stats:?}", setup.name);
        }
    }
}
