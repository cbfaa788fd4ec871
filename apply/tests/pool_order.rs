//! The order in which waiting threads get slots, and the cost of many waiting threads.

extern crate alloc;

mod common;

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Mutex;
use std::thread;

use wasm_meminit_apply::{AcquireError, PoolConfig, ResetOn, SlotConfig, SlotPool};
use wasm_meminit_test_support::images::n;

use crate::common::until;
/// Longer than any machine is busy with something else.
const LONG: Duration = Duration::from_secs(60);

fn config(max_slots: usize) -> PoolConfig {
    PoolConfig::new(SlotConfig::new(65536), n(max_slots))
}

/// One thread waits; another one, which does not wait, keeps trying to acquire a slot.
#[test]
fn a_newcomer_does_not_overtake_a_waiting_thread() {
    for reset_on in [ResetOn::Return, ResetOn::Batch(n(100))] {
        let pool = SlotPool::new(config(1).with_shards(n(1)).with_reset_on(reset_on));
        let mut n_stolen = 0;
        for round in 1..=300 {
            let held = pool.try_acquire(None, 8).expect("the only one");
            let first = AtomicUsize::new(0);
            let is_looking = AtomicBool::new(false);
            let note = |who| first.compare_exchange(0, who, Ordering::SeqCst, Ordering::SeqCst);
            thread::scope(|scope| {
                scope.spawn(|| {
                    let slot = pool.acquire_timeout(None, 8, LONG).expect("in time");
                    let _ = note(1);
                    drop(slot);
                });
                until(|| pool.stats().n_waits == round);
                scope.spawn(|| {
                    is_looking.store(true, Ordering::SeqCst);
                    while first.load(Ordering::SeqCst) == 0 {
                        if let Ok(slot) = pool.try_acquire(None, 8) {
                            let _ = note(2);
                            drop(slot);
                        }
                    }
                });
                until(|| is_looking.load(Ordering::SeqCst));
                drop(held);
            });
            n_stolen += usize::from(first.into_inner() == 2);
        }
        assert_eq!(n_stolen, 0, "of 300 slots, {reset_on:?}");
    }
}

/// The waiting threads have arrived one after the other; some of them time out, and
/// newcomers keep trying.
#[test]
fn a_queue_is_served_in_order_despite_timeouts_and_newcomers() {
    for reset_on in [ResetOn::Return, ResetOn::Batch(n(3))] {
        let pool = SlotPool::new(config(1).with_shards(n(1)).with_reset_on(reset_on));
        let mut n_waits = 0;
        for _ in 0..40 {
            let held = pool.try_acquire(None, 8).expect("the only one");
            let served = Mutex::new(Vec::new());
            let is_over = AtomicBool::new(false);
            thread::scope(|scope| {
                let mut waiting = Vec::new();
                for nth in 0..12 {
                    let (pool, served) = (&pool, &served);
                    waiting.push(scope.spawn(move || {
                        let gives_up = nth % 3 == 1;
                        let timeout = if gives_up { Duration::ZERO } else { LONG };
                        match pool.acquire_timeout(None, 8, timeout) {
                            Ok(slot) => {
                                served.lock().expect("no panic").push(nth);
                                drop(slot);
                            }
                            Err(err) => {
                                assert!(gives_up, "a wake-up was lost");
                                assert_eq!(err, AcquireError::TimedOut { max_slots: 1 });
                            }
                        }
                    }));
                    n_waits += 1;
                    until(|| pool.stats().n_waits == n_waits);
                }
                let newcomer = scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        drop(pool.try_acquire(None, 8));
                        thread::yield_now();
                    }
                });
                drop(held);
                for thread in waiting {
                    thread.join().expect("no panic");
                }
                is_over.store(true, Ordering::Relaxed);
                newcomer.join().expect("no panic");
            });
            let served = served.into_inner().expect("no panic");
            assert!(served.is_sorted(), "{served:?}");
            assert_eq!(served.len(), 8, "{served:?}");
        }
    }
}

/// Returns how often the threads with these ids have given up their processor.
#[cfg(target_os = "linux")]
fn n_sleeps(threads: &[std::path::PathBuf]) -> u64 {
    let n = |thread: &std::path::PathBuf| {
        let status = std::fs::read_to_string(thread.join("status")).expect("a running thread");
        let field = "voluntary_ctxt_switches:";
        let line = status.lines().find_map(|it| it.strip_prefix(field));
        line.map_or(0, |it| it.trim().parse::<u64>().expect("a number"))
    };
    threads.iter().map(n).sum()
}

/// Counted, because a machine's load changes how long a return takes.
#[cfg(target_os = "linux")]
#[test]
fn a_return_wakes_one_of_many_waiting_threads() {
    const WAITING: u64 = 800;
    let pool = SlotPool::new(config(16).with_shards(n(16)));
    let mut held: Vec<_> = (0..16)
        .map(|_| pool.try_acquire(None, 8).expect("room"))
        .collect();
    let (ids, n_served) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let is_over = (Mutex::new(false), std::sync::Condvar::new());
    thread::scope(|scope| {
        for _ in 0..WAITING {
            let wait = || {
                let id = std::fs::read_link("/proc/thread-self").expect("mounted");
                let id = std::path::Path::new("/proc").join(id);
                ids.lock().expect("no panic").push(id);
                let slot = pool.acquire(None, 8).expect("in time");
                n_served.fetch_add(1, Ordering::SeqCst);
                let is_over = is_over
                    .1
                    .wait_while(is_over.0.lock().expect("no panic"), |it| !*it);
                drop(is_over.expect("no panic"));
                drop(slot);
            };
            let thread = thread::Builder::new().stack_size(128 << 10);
            thread.spawn_scoped(scope, wait).expect("a thread");
        }
        until(|| pool.stats().n_waits == WAITING);
        let ids = ids.lock().expect("no panic");
        // The last ones may not sleep yet.
        let mut before = n_sleeps(&ids);
        loop {
            thread::sleep(Duration::from_millis(20));
            let now = n_sleeps(&ids);
            if now == core::mem::replace(&mut before, now) {
                break;
            }
        }
        for served in 1..=8 {
            held.pop();
            until(|| n_served.load(Ordering::SeqCst) == served);
        }
        thread::sleep(Duration::from_millis(20));
        let woken = n_sleeps(&ids) - before;
        *is_over.0.lock().expect("no panic") = true;
        is_over.1.notify_all();
        held.clear();
        // Each of the eight sleeps again, the last ones perhaps later. It may have to wait for
        // locks, too.
        assert!((1..=48).contains(&woken) || before == 0, "{woken} sleeps");
    });
}

#[cfg(feature = "fault-injection")]
mod faults {
    //! The same while slots are dropped and the system refuses new ones.

    use wasm_meminit_apply::testing::{self, Plan};
    use wasm_meminit_apply::{Call, PooledSlot, Strategy};

    use super::*;
    use crate::common::{PATH, Path, skip};

    fn nothing_is_lost() -> bool {
        PATH == Path::Portable && skip("buffers are never lost")
    }

    fn fail_after(skip: u64) {
        testing::set(Some(Plan {
            skip,
            fail: u64::MAX,
            only: Some(Call::Mmap),
            code: 12,
        }));
    }

    /// Makes the system refuse further slots.
    fn refuse_slots() {
        fail_after(0);
    }

    /// Ends a use so that the slot is poisoned: the check for room succeeds, and the
    /// mapping still fails.
    fn poison(slot: PooledSlot) {
        fail_after(1);
        drop(slot);
        testing::set(None);
    }

    /// Slots that are remapped by each reset.
    fn config(max_slots: usize) -> PoolConfig {
        let slot = SlotConfig::new(65536).with_strategy(Strategy::Remap);
        PoolConfig::new(slot, n(max_slots))
    }

    /// There is room for another slot: the first waiting thread creates it.
    #[test]
    fn a_dropped_slot_does_not_change_the_order_of_the_queue() {
        if nothing_is_lost() {
            return;
        }
        for _ in 0..100 {
            let pool = SlotPool::new(config(1));
            let mut held = pool.try_acquire(None, 65536).expect("the only one");
            held.as_mut_slice()[0] = 1;
            let order = Mutex::new(Vec::new());
            thread::scope(|scope| {
                for nth in 0..6 {
                    let (pool, order) = (&pool, &order);
                    scope.spawn(move || {
                        let slot = pool.acquire_timeout(None, 65536, LONG).expect("in time");
                        order.lock().expect("no panic").push(nth);
                        thread::sleep(Duration::from_micros(300));
                        drop(slot);
                    });
                    until(|| pool.stats().n_waits == nth + 1);
                }
                poison(held);
            });
            let order = order.into_inner().expect("no panic");
            assert_eq!(order, [0, 1, 2, 3, 4, 5]);
            let stats = pool.stats();
            // It was returned poisoned, and replaced.
            assert_eq!((stats.n_poisoned, stats.n_slots, stats.n_waits), (1, 1, 6));
        }
    }

    /// The first thread may create a slot, the system refuses, and then a slot is
    /// returned.
    #[test]
    fn a_thread_refused_a_new_slot_keeps_its_place() {
        if nothing_is_lost() {
            return;
        }
        let pool = SlotPool::new(config(2));
        let [poisoned, held] = [0; 2].map(|_| pool.try_acquire(None, 65536).expect("room"));
        let order = Mutex::new(Vec::new());
        let n_tries = AtomicUsize::new(0);
        thread::scope(|scope| {
            for nth in 0..3 {
                let (pool, order, n_tries) = (&pool, &order, &n_tries);
                scope.spawn(move || {
                    refuse_slots();
                    let slot = pool.acquire_timeout(None, 65536, LONG).expect("in time");
                    n_tries.fetch_add(1, Ordering::Relaxed);
                    testing::set(None);
                    order.lock().expect("no panic").push(nth);
                    thread::sleep(Duration::from_millis(1));
                    drop(slot);
                });
                until(|| pool.stats().n_waits == nth + 1);
            }
            poison(poisoned);
            // All have tried, and returned the permit.
            until(|| pool.stats().n_slots == 1);
            assert_eq!(n_tries.load(Ordering::Relaxed), 0);
            assert!(pool.try_acquire(None, 8).is_err(), "others arrived earlier");
            // Time to join the queue again.
            thread::sleep(Duration::from_millis(100));
            drop(held);
        });
        assert_eq!(order.into_inner().expect("no panic"), [0, 1, 2]);
    }

    /// The first thread is refused, the second one is not, and then a slot is returned: it goes
    /// to the first thread, although the third one has never left the queue.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_joins_again_does_so_at_its_place() {
        if nothing_is_lost() {
            return;
        }
        let pool = SlotPool::new(config(2));
        let [poisoned, held] = [0; 2].map(|_| pool.try_acquire(None, 65536).expect("room"));
        let (order, id) = (Mutex::new(Vec::new()), Mutex::new(None));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for nth in 0..3 {
                let (pool, order, id, is_over) = (&pool, &order, &id, &is_over);
                scope.spawn(move || {
                    if nth == 0 {
                        let own = std::fs::read_link("/proc/thread-self").expect("mounted");
                        *id.lock().expect("no panic") = Some(own);
                        refuse_slots();
                    }
                    let slot = pool.acquire_timeout(None, 65536, LONG).expect("in time");
                    testing::set(None);
                    order.lock().expect("no panic").push(nth);
                    if nth == 1 {
                        until(|| is_over.load(Ordering::SeqCst));
                    }
                    drop(slot);
                });
                until(|| pool.stats().n_waits == nth + 1);
            }
            poison(poisoned);
            // The second thread has a slot, so the first one was refused before.
            until(|| order.lock().expect("no panic").len() == 1);
            let id = id.lock().expect("no panic").clone().expect("started");
            let status = std::path::Path::new("/proc").join(id).join("status");
            let sleeps = || {
                thread::sleep(Duration::from_millis(20));
                let status = std::fs::read_to_string(&status).expect("a running thread");
                status.contains("State:\tS")
            };
            until(|| (0..5).all(|_| sleeps()));
            drop(held);
            until(|| order.lock().expect("no panic").len() == 3);
            is_over.store(true, Ordering::SeqCst);
        });
        assert_eq!(order.into_inner().expect("no panic"), [1, 0, 2]);
        assert_eq!(pool.stats().n_waits, 3, "each waited once");
    }

    /// The last slot is lost, and the system has no room for another one: no thread waits
    /// for a slot that cannot be returned.
    #[test]
    fn no_thread_waits_if_no_slot_can_be_returned() {
        if nothing_is_lost() {
            return;
        }
        let pool = SlotPool::new(config(1));
        let held = pool.try_acquire(None, 65536).expect("the only one");
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        refuse_slots();
                        pool.acquire(None, 65536).map(drop)
                    })
                })
                .collect();
            until(|| pool.stats().n_waits == 3);
            poison(held);
            for thread in waiting {
                let refused = thread.join().expect("no panic").expect_err("no room");
                assert!(matches!(refused, AcquireError::Slot(_)), "{refused}");
            }
        });
        assert_eq!(pool.stats().n_slots, 0);
        drop(pool.try_acquire(None, 8).expect("all is well again"));
    }
}
