//! What the pool's threads share and wait for: the standard library's types, or shuttle's
//! in the [models](super::models), where one thread plays all others in chosen orders.
//!
//! `Arc` and `OnceLock` are the standard library's in both: no thread waits for one, and
//! each belongs to one pool.

#[cfg(not(all(test, shuttle)))]
pub(super) use self::native::*;
#[cfg(all(test, shuttle))]
pub(super) use self::shuttled::*;

pub(super) use core::sync::atomic::Ordering;
use std::sync::PoisonError;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// No thread panics while it holds one of our locks.
fn unpoisoned<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(not(all(test, shuttle)))]
mod native {
    pub(crate) use core::sync::atomic::{AtomicU64, AtomicUsize};
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
    use std::time::Instant;

    use super::{Ordering, unpoisoned};

    /// Waits once, and returns whether the deadline has passed. The guard is of the mutex.
    pub(crate) fn wait<'a, T>(
        _mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        changed: &Condvar,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, bool) {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match left {
            None => (unpoisoned(changed.wait(guard)), false),
            Some(left) if left.is_zero() => (guard, true),
            Some(left) => (unpoisoned(changed.wait_timeout(guard, left)).0, false),
        }
    }

    /// Returns the number of this thread, in the order of the first calls.
    pub(crate) fn nth_thread() -> usize {
        static N_THREADS: AtomicUsize = AtomicUsize::new(0);
        std::thread_local! {
            static NTH: usize = N_THREADS.fetch_add(1, Ordering::Relaxed);
        }
        NTH.with(|nth| *nth)
    }
}

#[cfg(all(test, shuttle))]
mod shuttled {
    use std::time::Instant;

    use shuttle::rand::Rng as _;
    pub(crate) use shuttle::sync::atomic::{AtomicU64, AtomicUsize};
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};

    use super::{lock, unpoisoned};

    /// Waits once, and returns whether the deadline has passed. There is no clock: of the
    /// waits with a deadline, one in two ends in time, the other some steps of other
    /// threads later.
    pub(crate) fn wait<'a, T>(
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        changed: &Condvar,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, bool) {
        let mut choices = shuttle::rand::thread_rng();
        if deadline.is_none() || choices.gen_bool(0.5) {
            return (unpoisoned(changed.wait(guard)), false);
        }
        drop(guard);
        for _ in 0..choices.gen_range(0..20) {
            shuttle::thread::yield_now();
        }
        (lock(mutex), true)
    }

    /// Returns the number of this thread in the run of the model.
    pub(crate) fn nth_thread() -> usize {
        shuttle::current::me().into()
    }
}
