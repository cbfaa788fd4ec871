//! How much four threads on one pool get done, and what the pool costs.
//!
//! A use is: acquire a memory of 16 MiB with an image of 1 MiB, write to some of its
//! pages, end it. Every way does the same, in turn, round by round; shown are medians,
//! and ratios of medians: of the time that passed, which says how much gets done, and of
//! the processors' time in it, which stays true where others use the machine too. The
//! floor is a slot for each thread without any pool. A use of a memory without bytes asks
//! nothing of the kernel: the pool alone.

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
/// How many pages each use writes to; first of all, a memory that has none.
const PAGES: [Option<usize>; 4] = [None, Some(0), Some(16), Some(64)];

/// A way of having memories on some threads.
struct Way {
    name: &'static str,
    n_threads: usize,
    /// Without: a slot for each thread, and no pool.
    pool: Option<SlotPool>,
}

fn image() -> Arc<MemoryImage> {
    let image = Image::capture(&vec![7; IMAGE_BYTES]).expect("small");
    Arc::new(MemoryImage::new(image.as_ref()).expect("room"))
}

fn ways() -> [Way; 5] {
    let n = |n| NonZeroUsize::new(n).expect("not zero");
    let config = PoolConfig::new(SlotConfig::new(MEMORY_BYTES), n(16));
    let way = |name, n_threads, config| Way {
        name,
        n_threads,
        pool: Some(SlotPool::new(config)),
    };
    [
        Way {
            name: "4 threads, no pool",
            n_threads: 4,
            pool: None,
        },
        way("1 thread", 1, config),
        way("4 threads, 1 shard", 4, config.shards(n(1))),
        way("4 threads, 4 shards", 4, config.shards(n(4))),
        way("4 threads, a shard per processor", 4, config),
    ]
}

/// Writes to so many pages, as far apart as they can be.
fn touch(memory: &mut [u8], n_pages: usize) {
    for nth in 0..n_pages {
        let page = memory.len() / HOST_PAGE / n_pages * nth;
        memory[page * HOST_PAGE] = 1;
    }
}

fn uses(way: &Way, image: &Arc<MemoryImage>, n_pages: Option<usize>, n_uses: usize) {
    let bytes = n_pages.map_or(0, |_| MEMORY_BYTES);
    let image = n_pages.map(|_| image);
    let n_pages = n_pages.unwrap_or(0);
    match &way.pool {
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

/// What a use took, over all threads.
#[derive(Clone, Copy, Debug)]
struct Cost {
    passed: Duration,
    /// Of all processors together; where it cannot be told, the same.
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

fn round(way: &Way, image: &Arc<MemoryImage>, n_pages: Option<usize>, n_uses: usize) -> Cost {
    let start = Barrier::new(way.n_threads + 1);
    let n_each = n_uses / way.n_threads;
    let (before, begun) = thread::scope(|scope| {
        for _ in 0..way.n_threads {
            scope.spawn(|| {
                // The first one finds or makes the thread's slot.
                uses(way, image, n_pages, 1);
                start.wait();
                uses(way, image, n_pages, n_each);
            });
        }
        let before = processor_time();
        start.wait();
        (before, Instant::now())
    });
    let n_uses = u32::try_from(n_each * way.n_threads).expect("few");
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

fn print(n_pages: Option<usize>, ways: &[Way; 5], costs: &[Vec<Cost>; 5]) {
    let of = |time: fn(&Cost) -> Duration| {
        let median = |costs: &Vec<Cost>| median(costs.iter().map(time).collect()).as_secs_f64();
        costs.each_ref().map(median)
    };
    let what = n_pages.map_or("no memory".to_owned(), |n| format!("{n} pages"));
    let (passed, processors) = (of(|cost| cost.passed), of(|cost| cost.processors));
    for (way, (here, busy)) in ways.iter().zip(passed.iter().zip(&processors)) {
        println!(
            "{what:9}  {:32}  {:6.2} µs {:5.2}x   {:6.2} µs of processors {:5.2}x",
            way.name,
            here * 1e6,
            passed[1] / here,
            busy * 1e6,
            processors[1] / busy,
        );
    }
}

fn main() {
    // `cargo test` runs benches too, and only wants to know that they work.
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let (n_rounds, n_uses) = if is_bench { (25, 4000) } else { (1, 40) };
    let image = image();
    let n_processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    println!("{n_processors} processors; per use, over all threads; x: against 1 thread");
    for n_pages in PAGES {
        // As if for each: a slot has held another image, or none.
        let ways = ways();
        // Short uses are many, or a round would be over before all threads run.
        let n_uses = if n_pages.unwrap_or(0) == 0 {
            8 * n_uses
        } else {
            n_uses
        };
        let mut costs = ways.each_ref().map(|_| Vec::new());
        for _ in 0..n_rounds {
            for (way, costs) in ways.iter().zip(&mut costs) {
                costs.push(round(way, &image, n_pages, n_uses));
            }
        }
        print(n_pages, &ways, &costs);
        for way in &ways {
            let stats = way.pool.as_ref().map(SlotPool::stats).unwrap_or_default();
            assert!(stats.n_slots <= 4, "{}: {stats:?}", way.name);
            assert_eq!(stats.n_maps, 0, "{}: {stats:?}", way.name);
        }
    }
}
