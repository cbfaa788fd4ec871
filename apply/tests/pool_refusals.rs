//! Pools on a system that refuses calls: starts use the slots that there are.
#![cfg(feature = "fault-injection")]

extern crate alloc;

mod common;

use alloc::sync::Arc;
use core::time::Duration;
use std::thread;

use wasm_meminit_apply::testing::{self, Plan};
use wasm_meminit_apply::{
    AcquireError, Call, MemoryImage, MemorySlot, PoolConfig, PoolStats, SlotConfig, SlotError,
    SlotPool, Strategy, reset_many,
};
use wasm_meminit_test_support::images::{image, n};

#[cfg(target_os = "linux")]
use crate::common::lacks;
use crate::common::{PATH, Path, skip};

const ENOMEM: i32 = 12;
const EINVAL: i32 = 22;
const LONG: Duration = Duration::from_secs(60);

fn refuse(only: Option<Call>, skip: u64, fail: u64, code: i32) {
    testing::set(Some(Plan {
        skip,
        fail,
        only,
        code,
    }));
}

fn pool(max_slots: usize) -> SlotPool {
    SlotPool::new(PoolConfig::new(SlotConfig::new(1 << 20), n(max_slots)).with_shards(n(1)))
}

fn n_starts(stats: &PoolStats) -> u64 {
    stats.n_hits + stats.n_blank + stats.n_maps
}

/// There is room for another slot, but not for a mapping in it.
#[test]
fn if_a_new_slot_cannot_be_mapped_a_ready_one_is_used() {
    let images = [image(&[1; 100]), image(&[2; 100])];
    // Reserving succeeds, and then this many mappings fail: the new slot's, and those of
    // ready slots, until enough of them were dropped.
    for n_refused in 1..5 {
        let pool = pool(8);
        let held: Vec<_> = (0..4)
            .map(|_| pool.try_acquire(Some(&images[0]), 65536).expect("room"))
            .collect();
        drop(held);
        refuse(Some(Call::Mmap), 1, n_refused, ENOMEM);
        let slot = pool.try_acquire(Some(&images[1]), 65536);
        testing::set(None);
        let slot = slot.unwrap_or_else(|err| panic!("{n_refused} refused: {err}"));
        assert_eq!(slot.as_slice()[..100], [2; 100]);
        let stats = pool.stats();
        assert_eq!(n_starts(&stats), 5, "{stats:?}");
        assert_eq!(stats.n_slots, stats.n_ready + 1, "{stats:?}");
    }
}

/// A failed start does not count.
#[test]
fn a_start_that_failed_is_not_counted() {
    let images = [image(&[1; 100]), image(&[2; 100])];
    let pool = pool(8);
    let held = pool.try_acquire(Some(&images[0]), 65536).expect("room");
    for skip in 0..4 {
        refuse(Some(Call::Mmap), skip, u64::MAX, ENOMEM);
        let started = pool.try_acquire(Some(&images[1]), 65536).map(drop);
        testing::set(None);
        let stats = pool.stats();
        let n_ok = 1 + u64::from(started.is_ok());
        assert_eq!(n_starts(&stats), n_ok, "{stats:?}");
        if started.is_ok() {
            break;
        }
    }
    drop(held);
}

/// A slot is returned, which needs nothing from the system.
#[test]
fn if_a_new_slot_cannot_be_mapped_a_start_waits_for_one() {
    if PATH == Path::Portable {
        skip("nothing is mapped");
        return;
    }
    let image = image(&[1; 100]);
    let pool = pool(8);
    let held = pool.try_acquire(Some(&image), 65536).expect("room");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            // Only calls of this thread fail.
            refuse(Some(Call::Mmap), 1, u64::MAX, ENOMEM);
            let started = pool.acquire_timeout(Some(&image), 65536, LONG);
            started.map(|slot| slot.as_slice()[..100].to_vec())
        });
        while pool.stats().n_waits == 0 {
            assert!(!waiting.is_finished(), "{:?}", waiting.join());
            thread::yield_now();
        }
        drop(held);
        let started = waiting.join().expect("no panic");
        assert_eq!(started, Ok(vec![1; 100]));
    });
}

/// If the reason is not lack of room, no other slot would help, and everything stays as
/// it is.
#[test]
fn a_forbidden_call_costs_no_ready_slot() {
    if PATH == Path::Portable {
        skip("nothing is mapped");
        return;
    }
    const EPERM: i32 = 1;
    let images = [image(&[1; 100]), image(&[2; 100])];
    let pool = pool(3);
    let held: Vec<_> = (0..3)
        .map(|_| pool.try_acquire(Some(&images[0]), 65536).expect("room"))
        .collect();
    drop(held);
    // There is no room for the image's mapping; everything else works.
    refuse(Some(Call::Mmap), 0, 1, EPERM);
    let err = pool.try_acquire(Some(&images[1]), 65536).map(drop);
    testing::set(None);
    assert!(matches!(err, Err(AcquireError::Slot(SlotError::Os(_)))));
    let stats = pool.stats();
    assert_eq!((stats.n_slots, stats.n_ready), (3, 3), "{stats:?}");
}

/// Pools that keep less resident than their uses write, with batches and without.
#[test]
fn trimming_keeps_the_images_even_without_batches() {
    if PATH == Path::Portable {
        skip("copied images are trimmed too");
        return;
    }
    let image = image(&[1; 4096]);
    let hits = |refused: Option<u64>| {
        let slot = SlotConfig::new(1 << 20);
        let config = PoolConfig::new(slot, n(8)).with_shards(n(1));
        let pool = SlotPool::new(config.with_max_resident(4 * 4096));
        if let Some(skip) = refused {
            refuse(Some(Call::ProcessMadvise), skip, u64::MAX, EINVAL);
        }
        for _ in 0..10 {
            let mut held: Vec<_> = (0..8)
                .map(|_| pool.try_acquire(Some(&image), 65536).expect("room"))
                .collect();
            for slot in &mut held {
                slot.as_mut_slice()[0] = 1;
            }
        }
        testing::set(None);
        let stats = pool.stats();
        assert!(stats.resident_bytes <= 4 * 4096);
        assert_eq!(stats.n_hits + stats.n_blank, 80);
        (stats.n_hits, stats.n_discarded)
    };
    let (n_hits, n_discarded) = hits(None);
    assert_eq!(n_hits, 72, "all but the first ones");
    assert_ne!(n_discarded, 0);
    for skip in 0..3 {
        assert_eq!(hits(Some(skip)).0, n_hits, "refused after {skip} batches");
    }
}

fn started(image: &Arc<MemoryImage>) -> Vec<MemorySlot> {
    let start = |_| {
        let config = SlotConfig::new(65536).with_strategy(Strategy::Discard);
        let mut slot = MemorySlot::new(&config).expect("room");
        slot.instantiate(Some(image), 65536).expect("room");
        slot.as_mut_slice().fill(7);
        slot
    };
    (0..300).map(start).collect()
}

/// If the kernel does not support batches, each slot keeps its image.
#[test]
fn slots_reset_one_by_one_keep_their_images() {
    let image = image(&[1; 4096]);
    let mut slots = started(&image);
    refuse(Some(Call::ProcessMadvise), 0, u64::MAX, EINVAL);
    let report = reset_many(&mut slots);
    testing::set(None);
    assert_eq!((report.n_batched, report.n_single), (0, 300));
    assert!(slots.iter().all(|slot| slot.image().is_some()));
}

/// Pages that the host has locked cannot be discarded, neither in a batch nor alone.
#[cfg(target_os = "linux")]
#[test]
fn a_batch_continues_after_a_refused_range() {
    use wasm_meminit_apply::Capabilities;
    use wasm_meminit_test_support::probe;

    if !Capabilities::get().batch.is_yes() {
        lacks("this system has no batches");
        return;
    }
    let image = image(&[1; 4096]);
    let mut slots = started(&image);
    for nth in [0, 5, 6, 200, 299] {
        if !probe::lock(slots[nth].as_mut_slice()) {
            lacks("this system locks no pages");
            return;
        }
    }
    let report = reset_many(&mut slots);
    assert_eq!((report.n_batched, report.n_single), (295, 5));
    let n_kept = slots.iter().filter(|slot| slot.image().is_some()).count();
    assert_eq!(
        n_kept, 300,
        "the locked slots were remapped, including their images"
    );
    for slot in &mut slots {
        slot.instantiate(Some(&image), 65536).expect("ready");
        assert_eq!(slot.as_slice()[..4096], [1; 4096]);
        assert!(slot.as_slice()[4096..].iter().all(|byte| *byte == 0));
    }
}
