//! Resets many slots while another thread runs.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::hint;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::thread;
use std::time::Instant;

use wasm_meminit_apply::{Capabilities, MemoryImage, MemorySlot, SlotConfig, Strategy, reset_many};
use wasm_meminit_test_support::floor::Floor;

use crate::paired::{Way, measure};
use crate::{IMAGE, MEMORY, image_bytes, image_of, touch};

/// How many slots there are; as a test, few.
fn n_slots(time: Duration) -> usize {
    if time.is_zero() { 100 } else { 1000 }
}

/// In bytes.
#[derive(Clone, Copy)]
struct Shape {
    memory: usize,
    image: usize,
}

/// One call covers 2 GiB: all of the small memories, 127 of the large ones.
const SHAPES: [Shape; 3] = [
    Shape {
        memory: 64 << 10,
        image: 4 << 10,
    },
    Shape {
        memory: 1 << 20,
        image: 64 << 10,
    },
    Shape {
        memory: MEMORY,
        image: IMAGE,
    },
];

/// A way to reset, and its name.
type Named<'a> = (&'static str, Way<'a, Infallible>);

pub(crate) fn group(time: Duration) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // It runs in user space on its own processor, so that interrupts have to reach it.
        pin(0);
        scope.spawn(|| {
            pin(1);
            while !is_over.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        });
        println!("reset of one of {} slots, ns", n_slots(time));
        for shape in SHAPES {
            let Shape { memory, image } = shape;
            println!(
                "  memory of {} KiB, image of {} KiB",
                memory >> 10,
                image >> 10
            );
            for n_pages in [1, 4, 16] {
                println!("    {n_pages} pages written");
                one(shape, n_pages, time);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

fn one(shape: Shape, n_pages: usize, time: Duration) {
    let bytes = &image_bytes()[..shape.image];
    let image = image_of(bytes);
    let n = n_slots(time);
    let slots = |strategy| slots(n, shape.memory, strategy);
    let mut single = slots(Strategy::Discard);
    let mut together = slots(Strategy::Auto);
    let mut others = slots(Strategy::Auto);
    let mut copied = slots(Strategy::ScanAndCopy);
    let mut floors = floors(n, bytes, shape.memory);
    let prepare = |slots: &mut [MemorySlot]| use_all(slots, &image, n_pages);
    let each = |slots: &mut [MemorySlot]| {
        for slot in slots {
            slot.reset().expect("reset");
        }
    };
    let mut ways: Vec<Named<'_>> = vec![
        (
            "one madvise each",
            Way::new(|n| Ok(resets(n, &mut single, prepare, each))),
        ),
        (
            "reset_many",
            Way::new(|n| {
                Ok(resets(n, &mut together, prepare, |slots| {
                    assert_eq!(reset_many(slots.iter_mut()).n_poisoned, 0);
                }))
            }),
        ),
        (
            "reset_many elsewhere",
            Way::new(|n| Ok((0..n).map(|_| elsewhere(&mut others, prepare)).sum())),
        ),
        (
            "one scan and copy each",
            Way::new(|n| Ok(resets(n, &mut copied, prepare, each))),
        ),
    ];
    if let Some(floors) = &mut floors {
        let bare = Way::new(|n| Ok((0..n).map(|_| bare(floors, n_pages)).sum()));
        ways.push(("bare process_madvise", bare));
    }
    let (names, mut ways): (Vec<_>, Vec<_>) = ways.into_iter().unzip();
    let Ok(()) = measure(&mut ways, time, 3);
    for (name, way) in names.iter().zip(&ways) {
        let per_slot = way.median() / n as f64;
        println!(
            "      {name:24} {per_slot:7.0} {:6.3}x",
            way.ratio(&ways[0])
        );
    }
}

/// Pins the calling thread to one processor, if the system has that processor.
#[cfg(target_os = "linux")]
fn pin(processor: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(processor);
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

/// The system decides where threads run.
#[cfg(not(target_os = "linux"))]
const fn pin(_processor: usize) {}

fn slots(n: usize, memory: usize, strategy: Strategy) -> Vec<MemorySlot> {
    let config = SlotConfig::new(memory as u64).with_strategy(strategy);
    let slot = || MemorySlot::new(&config).expect("addresses");
    (0..n).map(|_| slot()).collect()
}

fn use_all(slots: &mut [MemorySlot], image: &Arc<MemoryImage>, n_pages: usize) {
    for slot in slots {
        let memory = slot.max_bytes();
        slot.instantiate(Some(image), memory).expect("fits");
        touch(slot.as_mut_slice(), n_pages);
    }
}

/// Measures `reset` of all slots, after each was used.
fn resets(
    n: u32,
    slots: &mut [MemorySlot],
    prepare: impl Fn(&mut [MemorySlot]),
    mut reset: impl FnMut(&mut [MemorySlot]),
) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..n {
        prepare(slots);
        let start = Instant::now();
        reset(slots);
        took += start.elapsed();
    }
    took
}

/// Returns `None` if the kernel does not support batches, which need Linux 6.13.
fn floors(n: usize, bytes: &[u8], memory: usize) -> Option<Vec<Floor>> {
    let floor = |_| Floor::new(bytes, memory);
    let is_taken = Capabilities::get().batch.is_yes();
    is_taken.then(|| (0..n).map(floor).collect())?
}

/// Measures the direct system calls, after each memory was written to.
fn bare(floors: &mut [Floor], n_pages: usize) -> Duration {
    for floor in &mut *floors {
        touch(floor.bytes(), n_pages);
    }
    let start = Instant::now();
    assert!(Floor::drop_together(floors), "a kernel that batches");
    start.elapsed()
}

/// Measures how long another thread takes to reset all slots, after each was used.
fn elsewhere(slots: &mut [MemorySlot], prepare: impl Fn(&mut [MemorySlot])) -> Duration {
    prepare(slots);
    let worker = || {
        let start = Instant::now();
        let report = reset_many(slots.iter_mut());
        (start.elapsed(), report)
    };
    let (took, report) =
        thread::scope(|scope| scope.spawn(worker).join()).expect("the other thread ends");
    assert_eq!(report.n_poisoned, 0);
    took
}
