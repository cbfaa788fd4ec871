//! Who replaces mappings, and who adds one: never both at once.
//!
//! To add a mapping may exceed what the process may have, by one, and as long as it does,
//! `MAP_FIXED` fails in all other threads. What a failed `MAP_FIXED` was to replace is given
//! up for good, so nothing of ours is added while another thread is between the look whether
//! there is room and its last replacement.
//!
//! A courtesy, not what soundness rests on: whoever has waited long goes on without its turn.
//! The word is in the page that the kernel empties in a child, where the threads that had a
//! turn are no more.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::thread;

use super::per_process;

/// Set while a thread adds a mapping, or waits for those that replace some.
const ADDING: u32 = 1 << 31;

/// How often a thread that waits lets others run, and then sleeps, before it goes on without
/// its turn: after about a second.
const YIELDS: u32 = 1_000;
const SLEEPS: u32 = 10_000;

/// How long it sleeps at a time.
const SLEEP: Duration = Duration::from_micros(100);

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    word: Option<&'static AtomicU32>,
    is_adding: bool,
}

/// The turn of a thread that replaces mappings, beside others that do.
pub(super) fn replacing() -> Turn {
    take(per_process::turns(), false, |word| {
        let seen = word.load(Ordering::Relaxed);
        seen & ADDING == 0 && exchange(word, seen, seen + 1)
    })
}

/// The turn of a thread that adds a mapping, alone.
pub(super) fn adding() -> Turn {
    // Made by those that replace: until then there is nobody to disturb.
    let turn = take(per_process::known_turns(), true, |word| {
        let seen = word.load(Ordering::Relaxed);
        seen & ADDING == 0 && exchange(word, seen, seen | ADDING)
    });
    if let Some(word) = turn.word {
        wait_until(|| word.load(Ordering::Acquire) == ADDING);
    }
    turn
}

fn exchange(word: &AtomicU32, seen: u32, next: u32) -> bool {
    let exchanged = word.compare_exchange_weak(seen, next, Ordering::Acquire, Ordering::Relaxed);
    exchanged.is_ok()
}

fn take(
    word: Option<&'static AtomicU32>,
    is_adding: bool,
    attempt: impl Fn(&AtomicU32) -> bool,
) -> Turn {
    let word = word.filter(|word| wait_until(|| attempt(word)));
    Turn { word, is_adding }
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

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(word) = self.word else { return };
        match self.is_adding {
            true => word.fetch_and(!ADDING, Ordering::Release),
            false => word.fetch_sub(1, Ordering::Release),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicBool;

    /// Whether another thread gets its turn while this one has another.
    fn is_let_in(first: fn() -> Turn, second: fn() -> Turn) -> bool {
        let is_in = AtomicBool::new(false);
        let held = first();
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                let turn = second();
                is_in.store(true, Ordering::Release);
                drop(turn);
            });
            // As long as it waits, it yields.
            for _ in 0..1_000 {
                thread::yield_now();
            }
            let seen = is_in.load(Ordering::Acquire);
            drop(held);
            other.join().expect("no panic");
            assert!(is_in.load(Ordering::Acquire));
            seen
        })
    }

    #[test]
    fn whoever_adds_is_alone() {
        // Makes the word.
        drop(replacing());
        assert!(per_process::known_turns().is_some());
        // Turns are the process's, and other tests have some.
        let seen = |first: fn() -> Turn, second: fn() -> Turn| {
            (0..20).filter(|_| is_let_in(first, second)).count()
        };
        assert_eq!(seen(adding, replacing), 0);
        assert_eq!(seen(adding, adding), 0);
        assert_eq!(seen(replacing, adding), 0);
        assert_ne!(seen(replacing, replacing), 0);
    }
}
