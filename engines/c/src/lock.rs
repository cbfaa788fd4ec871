//! Locks that never wait.

use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::error::Error;
use crate::types::Status;

/// Locks what one call at a time may use. A call never waits for another one: that would hide a
/// race in the caller.
pub(crate) fn lock<'a, T>(value: &'a Mutex<T>, name: &str) -> Result<MutexGuard<'a, T>, Error> {
    value.try_lock().map_err(|err| match err {
        TryLockError::WouldBlock => Error::new(
            Status::Busy,
            format_args!("another call is using the {name}"),
        ),
        TryLockError::Poisoned(_) => Error::new(
            Status::Poisoned,
            format_args!("an earlier call on the {name} failed in the middle"),
        ),
    })
}

/// Returns an error if another call holds the lock. A call that panicked holds it no longer.
pub(crate) fn expect_idle<T>(value: &Mutex<T>, name: &str) -> Result<(), Error> {
    match value.try_lock() {
        Err(TryLockError::WouldBlock) => lock(value, name).map(drop),
        _ => Ok(()),
    }
}
