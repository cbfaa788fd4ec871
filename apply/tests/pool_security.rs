//! Vulnerabilities that pools of other engines had, each named, and isolation on a
//! failing system.

extern crate alloc;

mod common;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wasm_meminit_apply::{MemoryImage, PoolConfig, PooledSlot, ResetOn, SlotConfig, SlotPool};

use crate::common::HAS_GUARDS;
#[cfg(feature = "fault-injection")]
use crate::common::{PATH, Path, skip};
use wasm_meminit_test_support::images::{STRATEGIES, image, n};

const WASM_PAGE: usize = 65536;
const SECRET: u8 = 0xa5;

/// Every way in which a slot is returned.
fn configs(max_slots: usize) -> impl Iterator<Item = PoolConfig> {
    let of = move |by| {
        let slot = SlotConfig::new(bytes(4 * WASM_PAGE)).with_strategy(by);
        let config = PoolConfig::new(slot, n(max_slots));
        [
            config,
            config.with_max_resident(0),
            config.with_reset_on(ResetOn::Batch(n(2))),
        ]
    };
    STRATEGIES.into_iter().flat_map(of)
}

fn bytes(n: usize) -> u64 {
    u64::try_from(n).expect("small")
}

#[track_caller]
fn use_once(pool: &SlotPool, image: Option<&Arc<MemoryImage>>, len: usize) {
    let mut slot = pool.try_acquire(image, bytes(len)).expect("a slot");
    slot.as_mut_slice().fill(SECRET);
}

#[track_caller]
fn assert_starts_as(slot: &PooledSlot, state: &[u8]) {
    let mut expected = state.to_vec();
    expected.resize(slot.as_slice().len(), 0);
    if slot.as_slice() != expected {
        let wrong = (0..expected.len()).find(|&at| slot.as_slice()[at] != expected[at]);
        panic!("first wrong address: {wrong:?}");
    }
}

/// CVE-2021-43790: a slot was handed out while its last user still ran.
#[test]
fn a_slot_is_not_handed_out_before_its_last_user_is_done() {
    for config in configs(2) {
        let pool = SlotPool::new(config);
        let mut held = pool.acquire(None, 100).expect("a slot");
        held.as_mut_slice().fill(1);
        let base = held.as_ptr().addr();
        let is_held = AtomicBool::new(true);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..50 {
                    let Ok(mut slot) = pool.try_acquire(None, 100) else {
                        panic!("the pool has another slot: {:?}", pool.stats());
                    };
                    assert_ne!(slot.as_ptr().addr(), base);
                    assert_starts_as(&slot, &[]);
                    slot.as_mut_slice().fill(SECRET);
                }
                // Both at the same time only when the other user is done.
                let mine = pool.acquire(None, 100).expect("a slot");
                let mut other = pool.acquire(None, 100).expect("a slot");
                assert!(!is_held.load(Ordering::Relaxed));
                // A buffer moves when it is started again.
                assert!(other.as_ptr().addr() == base || !HAS_GUARDS);
                assert_starts_as(&other, &[]);
                drop(mine);
            });
            while pool.stats().n_waits == 0 {
                assert_eq!(held.as_slice(), [1; 100]);
                thread::yield_now();
            }
            is_held.store(false, Ordering::Relaxed);
            drop(held);
        });
    }
}

/// CVE-2022-39393: a slot reused for a module without an image showed the old image.
#[test]
fn a_slot_reused_without_an_image_shows_none() {
    let image = image(&[1; 2 * WASM_PAGE]);
    for config in configs(1) {
        let pool = SlotPool::new(config);
        use_once(&pool, Some(&image), 4 * WASM_PAGE);
        let slot = pool.try_acquire(None, bytes(4 * WASM_PAGE)).expect("ready");
        assert_starts_as(&slot, &[]);
    }
}

/// The same with another image, which is smaller.
#[test]
fn a_slot_reused_with_another_image_shows_only_that() {
    let large = image(&[1; 2 * WASM_PAGE]);
    let small = image(&[2; 100]);
    for config in configs(1) {
        let pool = SlotPool::new(config);
        use_once(&pool, Some(&large), 4 * WASM_PAGE);
        let slot = pool.try_acquire(Some(&small), bytes(4 * WASM_PAGE));
        assert_starts_as(&slot.expect("ready"), &[2; 100]);
    }
}

/// CVE-2026-34988: bytes of the last memory past the end of a smaller next one.
#[test]
fn a_smaller_next_memory_grows_into_zeros() {
    for config in configs(1) {
        let pool = SlotPool::new(config);
        use_once(&pool, None, 4 * WASM_PAGE);
        let mut slot = pool.try_acquire(None, 1).expect("ready");
        assert_eq!(slot.as_slice(), [0]);
        slot.grow(bytes(4 * WASM_PAGE)).expect("room");
        assert_starts_as(&slot, &[]);
    }
}

/// The same again and again, so that pages past the end are kept, aged and freed, for
/// memories of different images that grow to different sizes.
#[test]
fn growing_guests_see_only_zeros() {
    let image = image(&[1; WASM_PAGE]);
    for max_slots in [1, 2] {
        for config in configs(max_slots) {
            let pool = SlotPool::new(config);
            for nth in 0..60 {
                let image = (nth % 7 < 5).then_some(&image);
                let first = [1, 1, 2, 3][nth % 4] * WASM_PAGE;
                let mut slot = pool.try_acquire(image, bytes(first)).expect("ready");
                let expected: &[u8] = if image.is_some() {
                    &[1; WASM_PAGE]
                } else {
                    &[]
                };
                assert_starts_as(&slot, expected);
                for len in [3 * WASM_PAGE + nth, 4 * WASM_PAGE] {
                    if nth % 3 == 0 {
                        break;
                    }
                    slot.grow(bytes(len)).expect("room");
                    assert_starts_as(&slot, expected);
                }
                slot.as_mut_slice().fill(SECRET);
                drop(slot);
                if nth % 13 == 0 {
                    pool.drain();
                }
            }
        }
    }
}

/// A leaked slot is lost, and no other user gets it.
#[test]
fn a_leaked_slot_is_never_reused() {
    for config in configs(2) {
        let pool = SlotPool::new(config);
        let mut leaked = pool.try_acquire(None, 100).expect("a slot");
        leaked.as_mut_slice().fill(SECRET);
        let base = leaked.as_ptr().addr();
        core::mem::forget(leaked);
        let mut other = pool.try_acquire(None, 100).expect("another slot");
        assert_ne!(other.as_ptr().addr(), base);
        assert!(pool.try_acquire(None, 100).is_err());
    }
}

#[cfg(feature = "fault-injection")]
mod faults {
    //! The same on a system that refuses calls.

    use core::time::Duration;

    use wasm_meminit_apply::testing::{self, Plan};
    use wasm_meminit_apply::{AcquireError, Call, SlotError};

    use super::*;

    const ENOMEM: i32 = 12;
    /// The call that reserves a slot's address space.
    const RESERVE: Call = if HAS_GUARDS {
        Call::Mmap
    } else {
        Call::Allocate
    };

    fn fail(only: Option<Call>, skip: u64, fail: u64) {
        testing::set(Some(Plan {
            skip,
            fail,
            only,
            code: ENOMEM,
        }));
    }

    /// CVE-2022-23636 and similar: whichever call fails, and however often, no user sees
    /// what another one wrote, and once the system works again, so does the pool.
    #[test]
    fn no_failure_leaves_a_secret_behind() {
        let (one, two) = (&[1; WASM_PAGE][..], &[2; 100][..]);
        let images = [one, two].map(image);
        let mut n_sites = 0;
        let mut n_poisoned = 0;
        for config in configs(1) {
            for n_failing in [1, 2, u64::MAX] {
                for skip in 0.. {
                    let pool = SlotPool::new(config);
                    fail(None, skip, n_failing);
                    for nth in [0, 0, 1] {
                        let started = pool.try_acquire(Some(&images[nth]), bytes(2 * WASM_PAGE));
                        let Ok(mut slot) = started else { continue };
                        assert_starts_as(&slot, [one, two][nth]);
                        if slot.grow(bytes(3 * WASM_PAGE)).is_ok() {
                            assert_starts_as(&slot, [one, two][nth]);
                        }
                        slot.as_mut_slice().fill(SECRET);
                    }
                    pool.drain();
                    let n_calls = testing::n_calls();
                    testing::set(None);
                    let stats = pool.stats();
                    assert_eq!(stats.n_slots, stats.n_ready);
                    n_poisoned += stats.n_poisoned;
                    let slot = pool.try_acquire(None, bytes(4 * WASM_PAGE));
                    assert_starts_as(&slot.expect("all is well"), &[]);
                    n_sites += 1;
                    if n_calls <= skip {
                        break;
                    }
                }
            }
        }
        println!("{n_sites} positions, {n_poisoned} slots poisoned");
        assert_ne!(n_poisoned, 0, "no failure poisoned a slot");
    }

    #[test]
    fn a_poisoned_slot_is_replaced() {
        // All calls fail; or there seems to be room for a mapping, and then it fails.
        let plans = [(None, 0), (Some(Call::Mmap), 1)];
        let mut n_poisoned = 0;
        for (config, (only, skip)) in configs(1).flat_map(|it| plans.map(|plan| (it, plan))) {
            let pool = SlotPool::new(config);
            let mut slot = pool.try_acquire(None, 100).expect("a slot");
            slot.as_mut_slice().fill(SECRET);
            fail(only, skip, u64::MAX);
            drop(slot);
            let report = pool.drain();
            testing::set(None);
            let stats = pool.stats();
            n_poisoned += stats.n_poisoned;
            if stats.n_ready == 1 {
                assert_eq!(stats.n_poisoned, 0, "{config:?}, {report:?}");
                continue; // It copied, and asked nothing of the system.
            }
            // It is poisoned, or the pool would be above its limit with it.
            let n_ended = stats.n_poisoned.max(stats.n_discarded);
            assert_eq!(n_ended, 1, "{config:?}");
            assert_eq!(stats.n_slots, 0);
            assert_starts_as(&pool.try_acquire(None, 100).expect("another"), &[]);
            assert_eq!(pool.stats().n_reserved, 2);
        }
        assert!(n_poisoned != 0 || PATH == Path::Portable, "none was");
    }

    #[test]
    fn without_address_space_for_another_slot_any_ready_one_is_used() {
        if PATH != Path::Linux {
            skip("reserving cannot fail alone: resets make the same call");
            return;
        }
        let images = [&[1; 10][..], &[2; 10]].map(image);
        for config in configs(2) {
            let pool = SlotPool::new(config);
            fail(Some(RESERVE), 0, 1);
            let err = pool.try_acquire(Some(&images[0]), 10).expect_err("no room");
            let AcquireError::Slot(SlotError::Os(err)) = err else {
                panic!("{err}");
            };
            assert_eq!((err.call(), err.code()), (RESERVE, ENOMEM));
            // No slot could ever be returned: waiting would be pointless.
            fail(Some(RESERVE), 0, 1);
            let err = pool.acquire(Some(&images[0]), 10).expect_err("no room");
            assert!(matches!(err, AcquireError::Slot(SlotError::Os(_))));

            testing::set(None);
            use_once(&pool, Some(&images[0]), 10);
            let stats = pool.stats();
            if 0 < stats.n_remap_resets || 0 < stats.n_discarded {
                continue; // It holds no image, and is taken before there is need.
            }
            fail(Some(RESERVE), 0, 1);
            let slot = pool.try_acquire(Some(&images[1]), 10).expect("the first");
            testing::set(None);
            assert_starts_as(&slot, &[2; 10]);
            assert_eq!(pool.stats().n_slots, 1);
        }
    }

    #[test]
    fn without_address_space_for_another_slot_a_start_waits_for_one() {
        for config in configs(2) {
            let pool = SlotPool::new(config);
            let held = pool.try_acquire(None, 10).expect("a slot");
            thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    // Only calls of this thread fail.
                    fail(Some(RESERVE), 0, 1);
                    let timeout = Duration::from_secs(60);
                    pool.acquire_timeout(None, 10, timeout).map(drop)
                });
                while pool.stats().n_waits == 0 {
                    thread::yield_now();
                }
                drop(held);
                let waited = waiting.join().expect("no panic");
                assert_eq!(waited, Ok(()));
            });
            assert_eq!(pool.stats().n_slots, 1);
        }
    }
}
