//! Why a pool hands out no slot.

use core::fmt;

use crate::error::SlotError;

/// Why a [`SlotPool`](crate::SlotPool) handed out no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireError {
    /// Every slot is in use or just being reset, and there may be no more of them; or what
    /// comes back goes to threads that wait for it.
    Exhausted {
        /// How many slots the pool may have.
        max_slots: usize,
    },
    /// No slot came back in time.
    TimedOut {
        /// How many slots the pool may have.
        max_slots: usize,
    },
    /// The memory does not fit the pool's slots, or the system refused: no addresses
    /// for a further slot while none is to come back, or no mapping of the image.
    Slot(SlotError),
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted { max_slots } => write!(f, "all {max_slots} slots are in use"),
            Self::TimedOut { max_slots } => {
                write!(f, "none of {max_slots} slots came back in time")
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
