//! The slots of all memories, and how long to wait for one.

use alloc::sync::Arc;

use wasm_meminit_apply::{MemoryImage, MemorySlot, PooledSlot, SlotPool};

use crate::config::MemoriesConfig;
use crate::error::MemoryError;

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

    /// Returns a slot with a started memory, unless compiled code could not rely on it: all
    /// memories of engines come from here.
    pub(crate) fn acquire(
        &self,
        image: Option<&Arc<MemoryImage>>,
        bytes: u64,
    ) -> Result<PooledSlot, MemoryError> {
        check_guards()?;
        let slot = match self.config.wait() {
            None => self.slots.try_acquire(image, bytes),
            Some(timeout) => self.slots.acquire_timeout(image, bytes, timeout),
        };
        slot.map_err(MemoryError::Acquire)
    }
}

/// Refuses systems on which memories have no guards, or move.
pub(crate) const fn check_guards() -> Result<(), MemoryError> {
    match MemorySlot::HAS_GUARDS {
        true => Ok(()),
        false => Err(MemoryError::NoGuards),
    }
}
