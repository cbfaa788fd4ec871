//! A lock that keeps threads from adding a mapping while others replace some.
//!
//! Adding a mapping may exceed the process's limit by one, and as long as it does,
//! `MAP_FIXED` fails in all other threads. What a failed `MAP_FIXED` should have replaced
//! is lost for good. So this crate adds no mapping while another thread is between
//! checking that there is room and its last replacement.
//!
//! Advisory: soundness does not depend on it, and a thread that has waited long continues
//! without the lock. The word is in the page that the kernel zeroes in a child, where the
//! threads that held the lock do not exist.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use core::time::Duration;
use std::thread;

/// Set while a thread adds a mapping, or waits for those that replace some.
const ADDING: u32 = 1 << 31;

/// The number of attempts after which a waiting thread yields, and then sleeps, before it
/// continues without the lock: after about a second.
const YIELDS: u32 = 1_000;
const SLEEPS: u32 = 10_000;

/// The time between two attempts of a sleeping thread.
const SLEEP: Duration = Duration::from_micros(100);

/// The word, once there is one: it is set before the first reservation is made, and until
/// then nobody replaces a mapping in one. Not a `OnceLock`: a child that is forked while
/// another thread sets it would wait for that thread forever.
static WORD: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// Sets the word, unless it is set already. It is 0 at first, and in a child process.
pub(super) fn set_word(word: &'static AtomicU32) {
    let word = ptr::from_ref(word).cast_mut();
    // If another thread was first, the word is that one's.
    let _ = WORD.compare_exchange(ptr::null_mut(), word, Ordering::AcqRel, Ordering::Relaxed);
}

fn word() -> Option<&'static AtomicU32> {
    let word = NonNull::new(WORD.load(Ordering::Acquire))?;
    // SAFETY: `set_word` stored a reference that is valid forever, and threads change what
    // it refers to only by atomic operations.
    Some(unsafe { word.as_ref() })
}

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(super) struct MapGuard {
    word: Option<&'static AtomicU32>,
    is_exclusive: bool,
}

/// Locks for replacing mappings, shared with other threads that do.
pub(super) fn lock_shared() -> MapGuard {
    lock(false, |word| {
        let seen = word.load(Ordering::Relaxed);
        seen & ADDING == 0 && exchange(word, seen, seen + 1)
    })
}

/// Locks for adding a mapping, exclusively.
pub(super) fn lock_exclusive() -> MapGuard {
    let guard = lock(true, |word| {
        let seen = word.load(Ordering::Relaxed);
        seen & ADDING == 0 && exchange(word, seen, seen | ADDING)
    });
    if let Some(word) = guard.word {
        wait_until(|| word.load(Ordering::Acquire) == ADDING);
    }
    guard
}

fn exchange(word: &AtomicU32, seen: u32, next: u32) -> bool {
    let exchanged = word.compare_exchange_weak(seen, next, Ordering::Acquire, Ordering::Relaxed);
    exchanged.is_ok()
}

fn lock(is_exclusive: bool, attempt: impl Fn(&AtomicU32) -> bool) -> MapGuard {
    let word = word().filter(|word| wait_until(|| attempt(word)));
    MapGuard { word, is_exclusive }
}

fn wait_until(is_so: impl Fn() -> bool) -> bool {
    for nth in 0..YIELDS + SLEEPS {
        if is_so() {
            return true;
        }
        match nth < YIELDS {
            true => thread::yield_now(),
            false => thread::sleep(SLEEP),
        }
    }
    false
}

impl Drop for MapGuard {
    fn drop(&mut self) {
        let Some(word) = self.word else { return };
        match self.is_exclusive {
            true => word.fetch_and(!ADDING, Ordering::Release),
            false => word.fetch_sub(1, Ordering::Release),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicBool;

    /// Returns whether another thread can lock while this one holds the lock.
    fn can_also_lock(first: fn() -> MapGuard, second: fn() -> MapGuard) -> bool {
        let has_locked = AtomicBool::new(false);
        let held = first();
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                let guard = second();
                has_locked.store(true, Ordering::Release);
                drop(guard);
            });
            // While it waits, it yields.
            for _ in 0..1_000 {
                thread::yield_now();
            }
            let seen = has_locked.load(Ordering::Acquire);
            drop(held);
            other.join().expect("no panic");
            assert!(has_locked.load(Ordering::Acquire));
            seen
        })
    }

    #[test]
    fn adding_excludes_all_others() {
        // Unless another test has made a reservation.
        static UNSHARED: AtomicU32 = AtomicU32::new(0);
        set_word(&UNSHARED);
        // The lock belongs to the process, and other tests use it.
        let seen = |first: fn() -> MapGuard, second: fn() -> MapGuard| {
            (0..20).filter(|_| can_also_lock(first, second)).count()
        };
        assert_eq!(seen(lock_exclusive, lock_shared), 0);
        assert_eq!(seen(lock_exclusive, lock_exclusive), 0);
        assert_eq!(seen(lock_shared, lock_exclusive), 0);
        assert_ne!(seen(lock_shared, lock_shared), 0);
    }
}
