//! Pools as their users see them: which slot is acquired, limits, waiting, dropping the
//! pool.

extern crate alloc;

mod common;

use alloc::sync::Arc;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::panic::catch_unwind;
use std::thread;
use std::time::Instant;

use wasm_meminit_apply::{
    AcquireError, MemoryImage, PoolConfig, PooledSlot, ResetOn, SlotConfig, SlotError, SlotPool,
    Strategy,
};

use crate::common::{PATH, Path, skip, until};
use wasm_meminit_test_support::images::{image, n};

const WASM_PAGE: u64 = 65536;
/// Longer than any machine is busy with something else.
const LONG: Duration = Duration::from_secs(60);

fn config(max_slots: usize) -> PoolConfig {
    PoolConfig::new(SlotConfig::new(4 * WASM_PAGE), n(max_slots))
}

fn pool(max_slots: usize) -> SlotPool {
    SlotPool::new(config(max_slots))
}

#[track_caller]
fn start(pool: &SlotPool, image: Option<&Arc<MemoryImage>>) -> PooledSlot {
    pool.try_acquire(image, WASM_PAGE).expect("a slot")
}

#[test]
fn a_slot_that_holds_the_image_comes_first() {
    if PATH == Path::Unix {
        skip("a reset remaps the slot, so no slot holds an image");
        return;
    }
    let pool = pool(2);
    let images = [image(b"one"), image(b"two")];
    let mut slots = images.each_ref().map(|image| start(&pool, Some(image)));
    let [one, two] = slots.each_mut().map(PooledSlot::as_ptr);
    drop(slots);
    for _ in 0..3 {
        assert_eq!(start(&pool, Some(&images[0])).as_ptr(), one);
        assert_eq!(start(&pool, Some(&images[1])).as_ptr(), two);
    }
    let stats = pool.stats();
    assert_eq!(
        (stats.n_hits, stats.n_blank, stats.n_maps, stats.n_slots),
        (6, 2, 0, 2)
    );
}

#[test]
fn a_new_slot_comes_before_one_of_another_image_and_the_oldest_before_others() {
    if PATH == Path::Unix {
        skip("a reset remaps the slot, so no slot holds an image");
        return;
    }
    let pool = pool(2);
    let images = [image(b"one"), image(b"two"), image(b"three")];
    let one = start(&pool, Some(&images[0])).as_ptr();
    let two = start(&pool, Some(&images[1])).as_ptr();
    assert_ne!(one, two, "there was room for another slot");
    assert_eq!(start(&pool, Some(&images[2])).as_ptr(), one);
    assert_eq!(start(&pool, Some(&images[1])).as_ptr(), two);
    assert_eq!(start(&pool, None).as_ptr(), one, "now the oldest");
    assert_eq!(start(&pool, None).as_ptr(), one, "without an image, a hit");
    let stats = pool.stats();
    assert_eq!((stats.n_hits, stats.n_blank, stats.n_maps), (2, 2, 2));
}

#[test]
fn an_exhausted_pool_returns_an_error() {
    let pool = pool(2);
    let first = start(&pool, None);
    let second = start(&pool, None);
    let max_slots = 2;
    let exhausted = AcquireError::Exhausted { max_slots };
    assert_eq!(pool.try_acquire(None, 0).expect_err("full"), exhausted);
    assert_eq!(exhausted.to_string(), "all 2 slots of the pool are in use");
    let timeout = Duration::from_millis(20);
    let before = Instant::now();
    let err = pool.acquire_timeout(None, 0, timeout).expect_err("full");
    assert!(timeout <= before.elapsed());
    assert_eq!(err, AcquireError::TimedOut { max_slots });
    drop(first);
    drop(start(&pool, None));
    drop(second);
    assert_eq!(pool.stats().n_ready, 2);
}

#[test]
fn a_start_that_fits_no_slot_takes_none() {
    let pool = pool(1);
    let held = start(&pool, None);
    let bytes = 4 * WASM_PAGE + 1;
    let max_bytes = 4 * WASM_PAGE;
    assert_eq!(
        pool.acquire(None, bytes).expect_err("too large"),
        AcquireError::Slot(SlotError::TooLarge { bytes, max_bytes })
    );
    let image = image(b"hello world");
    let err = pool.acquire(Some(&image), 4).expect_err("too small");
    assert!(matches!(
        err,
        AcquireError::Slot(SlotError::MemoryTooSmall(_))
    ));
    drop(held);
    assert_eq!(pool.stats().n_waits, 0);
}

#[test]
fn threads_that_wait_are_served_in_order() {
    let pool = pool(1);
    let held = start(&pool, None);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for nth in 0..4 {
            let (pool, served) = (&pool, &served);
            scope.spawn(move || {
                let slot = pool.acquire_timeout(None, 0, LONG).expect("in time");
                assert_eq!(served.fetch_add(1, Ordering::Relaxed), nth);
                drop(slot);
            });
            // It waits before the next one arrives.
            until(|| pool.stats().n_waits == u64::try_from(nth).expect("small") + 1);
        }
        drop(held);
    });
    assert_eq!(served.into_inner(), 4);
}

#[test]
fn one_slot_serves_all_threads_without_a_lost_wake_up() {
    for reset_on in [ResetOn::Return, ResetOn::Batch(n(100))] {
        let pool = SlotPool::new(config(1).with_shards(n(4)).with_reset_on(reset_on));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for nth in 0..500_u64 {
                        // Some time out, and must not take a slot with them.
                        let timeout = match nth % 4 {
                            0 => Duration::from_micros(nth),
                            _ => LONG,
                        };
                        match pool.acquire_timeout(None, 8, timeout) {
                            Ok(mut slot) => {
                                assert_eq!(slot.as_slice(), [0; 8]);
                                slot.as_mut_slice().fill(1);
                            }
                            Err(err) => {
                                assert_eq!(err, AcquireError::TimedOut { max_slots: 1 });
                                assert_ne!(timeout, LONG, "a wake-up was lost");
                            }
                        }
                    }
                });
            }
        });
        let stats = pool.stats();
        assert_eq!((stats.n_slots, stats.n_reserved), (1, 1));
    }
}

/// The last slot is returned just as a thread begins to wait, and no other one ever will
/// be: a thread that searched a moment too early must search again.
#[test]
fn a_slot_returned_while_a_thread_joins_the_queue_is_found() {
    for reset_on in [ResetOn::Return, ResetOn::Batch(n(100))] {
        let pool = SlotPool::new(config(1).with_shards(n(2)).with_reset_on(reset_on));
        let (n_begun, n_done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (is_over, is_lost) = (AtomicBool::new(false), AtomicBool::new(false));
        let deadline = Instant::now() + Duration::from_secs(1);
        thread::scope(|scope| {
            scope.spawn(|| {
                for nth in 0.. {
                    spin_until(&n_begun, nth + 1);
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    if pool.acquire_timeout(None, 0, LONG).is_err() {
                        is_lost.store(true, Ordering::Relaxed);
                    }
                    n_done.store(nth + 1, Ordering::Release);
                }
            });
            for nth in 0.. {
                let slot = pool.try_acquire(None, 0).expect("a slot");
                let is_last = deadline < Instant::now() || is_lost.load(Ordering::Relaxed);
                is_over.store(is_last, Ordering::Relaxed);
                n_begun.store(nth + 1, Ordering::Release);
                if is_last {
                    break;
                }
                // The other thread searches some time from now.
                for _ in 0..nth % 32 {
                    core::hint::spin_loop();
                }
                drop(slot);
                spin_until(&n_done, nth + 1);
            }
        });
        assert!(!is_lost.into_inner(), "a wake-up was lost");
    }
}

/// Spins, in order to continue immediately; but not forever, in case the other thread has
/// to run here.
fn spin_until(counter: &AtomicUsize, n: usize) {
    for nth in 0.. {
        if n <= counter.load(Ordering::Acquire) {
            return;
        }
        match nth % 1000 {
            999 => thread::yield_now(),
            _ => core::hint::spin_loop(),
        }
    }
}

#[test]
fn a_thread_takes_from_other_shards_when_its_own_is_empty() {
    if PATH == Path::Unix {
        skip("a reset remaps the slot, so no slot holds an image");
        return;
    }
    let pool = SlotPool::new(config(4).with_shards(n(4)));
    let image = image(b"held");
    let base = start(&pool, Some(&image)).as_ptr().addr();
    // At most one of any four consecutive threads has the same shard.
    let bases: Vec<usize> = (0..4)
        .map(|_| {
            let start = || start(&pool, Some(&image)).as_ptr().addr();
            thread::scope(|scope| scope.spawn(start).join().expect("no panic"))
        })
        .collect();
    assert_eq!(bases, [base; 4]);
    let stats = pool.stats();
    assert_eq!((stats.n_slots, stats.n_hits), (1, 4));
    assert!(3 <= stats.n_stolen);
}

#[test]
fn queued_slots_are_reset_together() {
    if PATH == Path::Unix {
        skip("batches are not supported");
        return;
    }
    let pool = SlotPool::new(config(8).with_reset_on(ResetOn::Batch(n(4))));
    let image = image(b"image");
    let hold = |n: usize| -> Vec<_> { (0..n).map(|_| start(&pool, Some(&image))).collect() };
    drop(hold(3));
    let stats = pool.stats();
    assert_eq!((stats.n_queued, stats.n_ready), (3, 0));
    // There may be more slots: no start has to wait for a reset.
    drop(hold(1));
    let stats = pool.stats();
    assert_eq!((stats.n_queued, stats.n_ready, stats.n_slots), (0, 4, 4));
    assert_eq!(stats.n_batched + stats.n_unbatched, 4);
    // No more than eight: the ninth start finds the queued ones.
    let mut held = hold(8);
    held.truncate(6);
    assert_eq!(pool.stats().n_queued, 2);
    assert_eq!(start(&pool, Some(&image)).as_slice()[..5], *b"image");
    assert_eq!(pool.stats().n_hits, 5);
    drop(held);
    // Six are queued, four of which were enough for a batch.
    let before = pool.stats();
    let report = pool.drain();
    assert_eq!(report.n_batched + report.n_single, before.n_queued);
    let stats = pool.stats();
    assert_eq!((stats.n_queued, stats.n_ready), (0, 8));
}

#[test]
fn resident_bytes_stay_within_the_limit() {
    // Each of eight slots keeps four pages; the limit is sixteen.
    let page = 4096;
    let bound = 16 * page;
    let slot = SlotConfig::new(WASM_PAGE).with_strategy(Strategy::ScanAndCopy);
    let pool = SlotPool::new(
        PoolConfig::new(slot, n(8))
            .with_shards(n(2))
            .with_max_resident(bound),
    );
    let mut held: Vec<_> = (0..8).map(|_| start(&pool, None)).collect();
    for slot in &mut held {
        slot.as_mut_slice()[..16384].fill(7);
    }
    for slot in held {
        drop(slot);
        assert!(pool.stats().resident_bytes <= bound);
    }
    let stats = pool.stats();
    if stats.n_scan_resets == 0 {
        return; // Nothing is kept where pages that were written cannot be found.
    }
    assert!(bound / 2 <= stats.resident_bytes, "not more than needed");
    // Pages counted as discarded really are.
    let held: Vec<_> = (0..8).map(|_| start(&pool, None)).collect();
    let kept: u64 = held
        .iter()
        .map(|slot| slot.record().expect("scans work").bytes())
        .sum();
    assert_eq!(kept, stats.resident_bytes);
}

#[test]
fn a_panic_returns_the_slot() {
    let pool = pool(1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut slot = start(&pool, None);
        slot.as_mut_slice().fill(7);
        panic!("the host panics");
    }));
    assert!(panicked.is_err());
    let slot = start(&pool, None);
    assert!(slot.as_slice().iter().all(|byte| *byte == 0));
}

#[test]
fn a_slot_in_use_outlives_its_pool() {
    for reset_on in [ResetOn::Return, ResetOn::Batch(n(4))] {
        let image = image(b"hello world");
        let pool = SlotPool::new(config(4).with_reset_on(reset_on));
        let mut used = start(&pool, Some(&image));
        drop(start(&pool, Some(&image)));
        let other = pool.clone();
        drop(pool);
        drop(start(&other, Some(&image)));
        drop(other);
        // Ours, and the slot in use: the ready slots are gone.
        assert_eq!(Arc::strong_count(&image), 2);
        used.grow(2 * WASM_PAGE).expect("room");
        used.as_mut_slice().fill(7);
        drop(used);
        assert_eq!(Arc::strong_count(&image), 1);
    }
}

#[test]
fn a_forgotten_image_can_be_freed() {
    if PATH == Path::Unix {
        skip("a reset remaps the slot, so no slot holds an image");
        return;
    }
    let pool = pool(4);
    let images = [image(b"one"), image(b"two")];
    let held: Vec<_> = [0, 0, 1].map(|at| start(&pool, Some(&images[at]))).into();
    drop(held);
    pool.evict(&images[0]);
    assert_eq!(Arc::strong_count(&images[0]), 1);
    let stats = pool.stats();
    assert_eq!((stats.n_slots, stats.n_ready), (1, 1));
    drop(start(&pool, Some(&images[1])));
    assert_eq!(pool.stats().n_hits, 1);
}

#[test]
fn pools_and_slots_are_send_and_sync() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<SlotPool>();
    is_send_and_sync::<PooledSlot>();
}
