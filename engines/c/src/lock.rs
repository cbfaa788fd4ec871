//! Locks that never wait.

use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use crate::error::Error;
use crate::types::Status;

/// Locks what one call at a time may use. A call never waits for another one: that would hide a
/// race in the caller.
pub(crate) fn lock<'a, T>(value: &'a Mutex<T>, name: &str) -> Result<MutexGuard<'a, T>, Error> {
    value.try_lock().map_err(|err| refused(&err, name))
}

/// Locks what any number of calls at a time may read.
pub(crate) fn read<'a, T>(
    value: &'a RwLock<T>,
    name: &str,
) -> Result<RwLockReadGuard<'a, T>, Error> {
    value.try_read().map_err(|err| refused(&err, name))
}

/// Locks what one call at a time may change, while no other one reads it.
pub(crate) fn write<'a, T>(
    value: &'a RwLock<T>,
    name: &str,
) -> Result<RwLockWriteGuard<'a, T>, Error> {
    value.try_write().map_err(|err| refused(&err, name))
}

fn refused<G>(err: &TryLockError<G>, name: &str) -> Error {
    match err {
        TryLockError::WouldBlock => Error::new(
            Status::Busy,
            format_args!("another call is using the {name}"),
        ),
        TryLockError::Poisoned(_) => Error::new(
            Status::Poisoned,
            format_args!("an earlier call on the {name} failed in the middle"),
        ),
    }
}

/// Returns an error if a call holds the lock. A call that panicked holds it no longer.
pub(crate) fn expect_idle<G>(locked: Result<G, TryLockError<G>>, name: &str) -> Result<(), Error> {
    match locked {
        Err(err @ TryLockError::WouldBlock) => Err(refused(&err, name)),
        _ => Ok(()),
    }
}
