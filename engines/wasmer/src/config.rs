//! Configuration of a pool of memories.

use core::num::NonZeroUsize;
use core::time::Duration;

use wasm_meminit_apply::{PoolConfig, SlotConfig, Strategy};
use wasmer::{MemoryStyle, WASM_PAGE_SIZE};

/// Configuration of [`Memories`](crate::Memories).
///
/// Reservations and guards cannot be configured: each memory has what compiled code relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoriesConfig {
    max_memories: NonZeroUsize,
    strategy: Strategy,
    keep_resident_bytes: Option<u64>,
    max_resident_bytes: Option<u64>,
    wait: Option<Duration>,
}

/// The size in bytes up to which a memory can grow: the most that a 32-bit memory can have, as
/// compiled code assumes.
pub(crate) const RESERVATION_BYTES: u64 = 4 << 30;
/// How many bytes after it are inaccessible: an address and an instruction's offset have 32 bits
/// each, and compiled code does not check their sum.
const GUARD_BYTES: u64 = MemoryStyle::static_offset_guard_size();

// Another version of wasmer could assume more.
const _: () = assert!(
    MemoryStyle::static_bound().0 as u64 * WASM_PAGE_SIZE as u64 == RESERVATION_BYTES
        && RESERVATION_BYTES < GUARD_BYTES
);

impl MemoriesConfig {
    /// Configures a pool of at most `max_memories` memories that are in use at once.
    ///
    /// Each linear memory of an instance counts, and each `Memory::new`, except for shared
    /// memories. Address space is reserved as it is needed: a little more than 8 GiB for each
    /// memory.
    pub const fn new(max_memories: NonZeroUsize) -> Self {
        Self {
            max_memories,
            strategy: Strategy::Auto,
            keep_resident_bytes: None,
            max_resident_bytes: None,
            wait: None,
        }
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
    /// Default: it does not wait, but fails. Waiting blocks the thread. If its own thread holds
    /// the last memory, the wait always times out.
    #[must_use]
    pub const fn with_wait(mut self, timeout: Duration) -> Self {
        self.wait = Some(timeout);
        self
    }

    pub(crate) const fn wait(&self) -> Option<Duration> {
        self.wait
    }

    pub(crate) fn pool(&self) -> PoolConfig {
        let mut slot = SlotConfig::new(RESERVATION_BYTES)
            .with_guard(GUARD_BYTES)
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
