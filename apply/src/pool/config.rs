//! How large a pool may grow, and when slots are reset.

use core::num::NonZeroUsize;

use crate::slot::SlotConfig;

/// What a [`SlotPool`](crate::SlotPool) may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    pub(super) slot: SlotConfig,
    pub(super) max_slots: NonZeroUsize,
    pub(super) n_shards: Option<NonZeroUsize>,
    pub(super) max_resident_bytes: u64,
    pub(super) reset_on: ResetOn,
}

/// More shards than this serve no processors.
const MAX_SHARDS: usize = 4096;

/// When a slot whose use has ended is reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetOn {
    /// At once, by the thread that ends the use. Pages stay resident within
    /// [`SlotConfig::keep_resident`], so that the next use finds them in place.
    #[default]
    Return,
    /// Together with others, once this many wait in a shard, or when an acquire finds
    /// nothing else, or with [`SlotPool::drain`](crate::SlotPool::drain). No page stays
    /// resident where the kernel takes batches: this frees memory, and interrupts the
    /// other processors once for all. What waits keeps its pages until then.
    Batch(NonZeroUsize),
}

impl PoolConfig {
    /// At most `max_slots` slots of this kind, reserved as they are needed.
    pub const fn new(slot: SlotConfig, max_slots: NonZeroUsize) -> Self {
        Self {
            slot,
            max_slots,
            n_shards: None,
            max_resident_bytes: u64::MAX,
            reset_on: ResetOn::Return,
        }
    }

    /// Into how many parts, each with a lock of its own, the pool is divided; unless
    /// told, one for each processor that the process may use, and never more than slots,
    /// or than 4,096.
    #[must_use]
    pub const fn shards(mut self, n_shards: NonZeroUsize) -> Self {
        self.n_shards = Some(n_shards);
        self
    }

    /// How many bytes all slots together may keep resident between uses, beside
    /// [`SlotConfig::keep_resident`] for each; unless told, as many as they like.
    #[must_use]
    pub const fn max_resident(mut self, bytes: u64) -> Self {
        self.max_resident_bytes = bytes;
        self
    }

    /// When slots are reset; [`ResetOn::Return`] unless told.
    #[must_use]
    pub const fn reset_on(mut self, reset_on: ResetOn) -> Self {
        self.reset_on = reset_on;
        self
    }

    pub(super) fn n_shards(&self) -> usize {
        let parallel = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let n_shards = self.n_shards.unwrap_or_else(parallel);
        n_shards.min(self.max_slots).get().min(MAX_SHARDS)
    }
}
