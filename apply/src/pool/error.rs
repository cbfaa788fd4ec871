//! The error of acquiring a slot.

use core::fmt;

use crate::error::SlotError;

/// Why a [`SlotPool`](crate::SlotPool) could not provide a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireError {
    /// Every slot is in use or being reset and the pool is at its limit, or returned
    /// slots go to threads that are already waiting.
    Exhausted {
        /// The maximum number of slots in the pool.
        max_slots: usize,
    },
    /// No slot was returned before the timeout.
    TimedOut {
        /// The maximum number of slots in the pool.
        max_slots: usize,
    },
    /// The memory does not fit the pool's slots, or the system refused: there was no
    /// address space for a further slot while no other slot could be returned, or the
    /// image could not be mapped.
    Slot(SlotError),
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted { max_slots } => {
                write!(f, "all {max_slots} slots of the pool are in use")
            }
            Self::TimedOut { max_slots } => {
                write!(
                    f,
                    "timed out waiting for a slot: none of the pool's {max_slots} slots was returned"
                )
            }
            Self::Slot(err) => err.fmt(f),
        }
    }
}

impl core::error::Error for AcquireError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Slot(err) => Some(err),
            _ => None,
        }
    }
}

impl From<SlotError> for AcquireError {
    fn from(err: SlotError) -> Self {
        Self::Slot(err)
    }
}
