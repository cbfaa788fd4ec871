//! The memories that one instantiation will request, in order.

use alloc::sync::Arc;

use wasm_meminit_apply::PreparedMemory;

use crate::pool::Pool;

/// Memories in the order in which the engine requests them.
#[derive(Debug)]
pub(crate) struct MemoryList {
    pub(crate) pool: Arc<Pool>,
    pub(crate) memories: Box<[PreparedMemory]>,
}

impl MemoryList {
    pub(crate) fn new(pool: Arc<Pool>, memories: Vec<PreparedMemory>) -> Self {
        Self {
            pool,
            memories: memories.into(),
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
