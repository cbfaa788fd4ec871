//! Configuration of a pool of memories.

use core::num::NonZeroUsize;
use core::time::Duration;

use wasm_meminit_apply::{PoolConfig, SlotConfig, Strategy};

/// Configuration of [`Memories`](crate::Memories).
///
/// The defaults suit 32-bit memories on a 64-bit host: they are those of wasmtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoriesConfig {
    max_memories: NonZeroUsize,
    reservation_bytes: u64,
    guard_bytes: u64,
    strategy: Strategy,
    keep_resident_bytes: Option<u64>,
    max_resident_bytes: Option<u64>,
    wait: Option<Duration>,
}

/// What the compiler assumes about a 32-bit memory in order to omit bounds checks.
const RESERVATION_BYTES: u64 = 4 << 30;
const GUARD_BYTES: u64 = 32 << 20;

/// Reservations and guards are multiples of this, and so of every host page.
const GRANULE_BYTES: u64 = 0x1_0000;

impl MemoriesConfig {
    /// Configures a pool of at most `max_memories` memories that are in use at once.
    ///
    /// Each linear memory of an instance counts, and the heap of each store whose modules
    /// allocate garbage-collected objects. Address space is reserved as it is needed: with the
    /// defaults, a little more than 4 GiB for each memory.
    pub const fn new(max_memories: NonZeroUsize) -> Self {
        Self {
            max_memories,
            reservation_bytes: RESERVATION_BYTES,
            guard_bytes: GUARD_BYTES,
            strategy: Strategy::Auto,
            keep_resident_bytes: None,
            max_resident_bytes: None,
            wait: None,
        }
    }

    /// Sets the size in bytes up to which a memory can grow.
    ///
    /// Default: 4 GiB, the most that a 32-bit memory can have. Rounded up to a multiple of
    /// 64 KiB. With less, compiled code checks more bounds, and modules with larger memories are
    /// refused. 64-bit memories larger than 4 GiB need more.
    #[must_use]
    pub const fn with_reservation(mut self, bytes: u64) -> Self {
        self.reservation_bytes = round_up(bytes);
        self
    }

    /// Sets how many bytes after each memory are inaccessible.
    ///
    /// Default: 32 MiB. Rounded up to a multiple of 64 KiB. With less, compiled code checks more
    /// bounds.
    #[must_use]
    pub const fn with_guard(mut self, bytes: u64) -> Self {
        self.guard_bytes = round_up(bytes);
        self
    }

    /// Sets how memories are reset. Default: [`Strategy::Auto`].
    #[must_use]
    pub const fn with_strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets how many bytes of each slot may stay resident between uses. Default: 4 MiB.
    ///
    /// See [`SlotConfig::with_keep_resident`] for what another tenant could learn from it.
    #[must_use]
    pub const fn with_keep_resident(mut self, bytes: u64) -> Self {
        self.keep_resident_bytes = Some(bytes);
        self
    }

    /// Sets how many bytes all slots together may keep resident between uses. Default: no limit.
    #[must_use]
    pub const fn with_max_resident(mut self, bytes: u64) -> Self {
        self.max_resident_bytes = Some(bytes);
        self
    }

    /// Sets how long an instantiation waits for a memory if all are in use.
    ///
    /// Default: it does not wait, but fails. Waiting blocks the thread, also in
    /// `instantiate_async`. If its own thread holds the last memory, the wait always times out.
    #[must_use]
    pub const fn with_wait(mut self, timeout: Duration) -> Self {
        self.wait = Some(timeout);
        self
    }

    /// Returns the size in bytes up to which a memory can grow.
    pub const fn reservation(&self) -> u64 {
        self.reservation_bytes
    }

    /// Returns how many bytes after each memory are inaccessible.
    pub const fn guard(&self) -> u64 {
        self.guard_bytes
    }

    pub(crate) const fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// Returns the guard in bytes of heaps for garbage-collected objects. It differs from that
    /// of linear memories, because nothing else tells the creator which of them is requested.
    pub(crate) const fn gc_guard(&self) -> u64 {
        self.guard_bytes.saturating_add(GRANULE_BYTES)
    }

    pub(crate) fn pool(&self) -> PoolConfig {
        let mut slot = SlotConfig::new(self.reservation_bytes)
            .with_guard(self.gc_guard())
            .with_guard_before(self.guard_bytes)
            .with_strategy(self.strategy);
        if let Some(bytes) = self.keep_resident_bytes {
            slot = slot.with_keep_resident(bytes);
        }
        let pool = PoolConfig::new(slot, self.max_memories);
        match self.max_resident_bytes {
            Some(bytes) => pool.with_max_resident(bytes),
            None => pool,
        }
    }
}

const fn round_up(bytes: u64) -> u64 {
    match bytes.checked_next_multiple_of(GRANULE_BYTES) {
        Some(bytes) => bytes,
        // Refused later: no address space is that large.
        None => u64::MAX - (GRANULE_BYTES - 1),
    }
}
