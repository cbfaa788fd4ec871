//! The memories that one instantiation will request, in order.

use alloc::sync::Arc;

use wasm_meminit_apply::{MemoryIndex, PreparedMemory};

use crate::error::LoadError;
use crate::pool::Pool;

/// Memories in the order in which the engine requests them.
#[derive(Debug)]
pub(crate) struct MemoryList {
    pub(crate) pool: Arc<Pool>,
    pub(crate) memories: Box<[PreparedMemory]>,
    pub(crate) after_last: AfterLast,
    /// Whether memories must be zeroed if an element segment traps.
    pub(crate) zeroes_on_trap: bool,
}

/// What a request gets after all memories of the list were requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterLast {
    /// A zeroed memory: it is for something that host functions instantiate, which are called by
    /// a start function.
    Zeroed,
    /// Nothing: no host function runs, so a limiter or a callback took an earlier one, or does now.
    Refused,
}

impl MemoryList {
    pub(crate) fn new(
        pool: Arc<Pool>,
        memories: Vec<PreparedMemory>,
        after_last: AfterLast,
    ) -> Self {
        Self {
            pool,
            memories: memories.into(),
            after_last,
            zeroes_on_trap: false,
        }
    }
}

/// Slots no longer hold images that nothing will start from again.
impl Drop for MemoryList {
    fn drop(&mut self) {
        for image in self.memories.iter().filter_map(PreparedMemory::image) {
            self.pool.slots.evict(image);
        }
    }
}

/// Checks that all memories of a module fit the slots.
pub(crate) fn check_sizes(memories: &[PreparedMemory], pool: &Pool) -> Result<(), LoadError> {
    let max_bytes = pool.config.reservation();
    for (index, memory) in (0..).map(MemoryIndex::from_u32).zip(memories) {
        if max_bytes < memory.min_bytes() {
            return Err(LoadError::TooLarge {
                memory: index,
                bytes: memory.min_bytes(),
                max_bytes,
            });
        }
    }
    Ok(())
}
