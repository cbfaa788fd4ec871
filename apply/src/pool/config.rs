//! Limits of a pool, and when its slots are reset.

use core::num::NonZeroUsize;

use crate::slot::SlotConfig;

/// Configuration of a [`SlotPool`](crate::SlotPool).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    pub(super) slot: SlotConfig,
    pub(super) max_slots: NonZeroUsize,
    pub(super) n_shards: Option<NonZeroUsize>,
    pub(super) max_resident_bytes: u64,
    pub(super) reset_on: ResetOn,
}

/// More shards than this do not help on any machine.
const MAX_SHARDS: usize = 4096;

/// When a slot whose use has ended is reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetOn {
    /// Immediately, by the thread that ends the use. Pages stay resident within
    /// [`SlotConfig::with_keep_resident`], so that the next use finds them in place.
    #[default]
    Return,
    /// Together with others: once this many are queued in a shard, when an acquire finds
    /// no other slot, or by [`SlotPool::drain`](crate::SlotPool::drain). Where the kernel
    /// supports batches, no page stays resident: this frees memory, and interrupts the
    /// other processors once for all slots. Queued slots keep their pages until then.
    Batch(NonZeroUsize),
}

impl PoolConfig {
    /// Configures a pool of at most `max_slots` slots, reserved as they are needed.
    pub const fn new(slot: SlotConfig, max_slots: NonZeroUsize) -> Self {
        Self {
            slot,
            max_slots,
            n_shards: None,
            max_resident_bytes: u64::MAX,
            reset_on: ResetOn::Return,
        }
    }

    /// Sets the number of shards, each with its own lock.
    ///
    /// Default: one for each processor that the process may use. Never more than there
    /// are slots, or than 4,096.
    #[must_use]
    pub const fn with_shards(mut self, n_shards: NonZeroUsize) -> Self {
        self.n_shards = Some(n_shards);
        self
    }

    /// Sets how many bytes all slots together may keep resident between uses.
    ///
    /// Default: no limit. This is in addition to the limit of each slot
    /// ([`SlotConfig::with_keep_resident`]).
    #[must_use]
    pub const fn with_max_resident(mut self, bytes: u64) -> Self {
        self.max_resident_bytes = bytes;
        self
    }

    /// Sets when slots are reset. Default: [`ResetOn::Return`].
    #[must_use]
    pub const fn with_reset_on(mut self, reset_on: ResetOn) -> Self {
        self.reset_on = reset_on;
        self
    }

    pub(super) fn n_shards(&self) -> usize {
        let parallel = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let n_shards = self.n_shards.unwrap_or_else(parallel);
        n_shards.min(self.max_slots).get().min(MAX_SHARDS)
    }
}
