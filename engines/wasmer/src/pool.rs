//! The slots of all memories, and how long to wait for one.

use alloc::sync::Arc;

use wasm_meminit_apply::{AcquireError, MemoryImage, PooledSlot, SlotPool};

use crate::config::MemoriesConfig;

/// Slots, and their configuration.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) slots: SlotPool,
    pub(crate) config: MemoriesConfig,
}

impl Pool {
    pub(crate) fn new(config: MemoriesConfig) -> Self {
        Self {
            slots: SlotPool::new(config.pool()),
            config,
        }
    }

    /// Returns a slot with a started memory.
    pub(crate) fn acquire(
        &self,
        image: Option<&Arc<MemoryImage>>,
        bytes: u64,
    ) -> Result<PooledSlot, AcquireError> {
        match self.config.wait() {
            None => self.slots.try_acquire(image, bytes),
            Some(timeout) => self.slots.acquire_timeout(image, bytes, timeout),
        }
    }
}
