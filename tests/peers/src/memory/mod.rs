//! Implements the memory interfaces of engines with our slots.
//!
//! All `unsafe` code of this package is here, in one file per engine.

pub(crate) mod wasmer;
pub(crate) mod wasmi;

use alloc::sync::Arc;
use core::num::NonZeroUsize;

use anyhow::{Result, ensure};
use wasm_meminit_apply::{MemoryImage, PoolConfig, PooledSlot, SlotConfig, SlotPool};

use crate::engine::ImageStarts;
use crate::prepared::Prepared;

// ANCHOR: memories
/// How many instances may exist at once.
const MAX_SLOTS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// Memories for the instances of one module, each starting from its image.
///
/// Engines do not say which module a memory is for, so each value needs its own engine.
#[derive(Clone, Debug)]
pub(crate) struct Memories {
    image: Arc<MemoryImage>,
    min_bytes: u64,
    pool: SlotPool,
}

impl Memories {
    /// Creates memories that can grow to `max_bytes`, followed by `guard_bytes` of guard.
    pub(crate) fn new(program: &Prepared, max_bytes: u64, guard_bytes: u64) -> Self {
        let slot = SlotConfig::new(max_bytes).with_guard(guard_bytes);
        Self {
            image: Arc::clone(&program.mapped),
            min_bytes: program.min_bytes(),
            pool: SlotPool::new(PoolConfig::new(slot, MAX_SLOTS)),
        }
    }

    /// Returns an initialised memory.
    ///
    /// # Errors
    ///
    /// The size differs from the module's, so that the memory is for something else, or
    /// the system is out of memory.
    fn start(&self, min_bytes: u64) -> Result<PooledSlot> {
        ensure!(
            min_bytes == self.min_bytes,
            "a memory of {min_bytes} bytes is not the module's memory"
        );
        // Not `acquire`: it would wait for a slot that nothing here returns.
        Ok(self.pool.try_acquire(Some(&self.image), min_bytes)?)
    }
    // ANCHOR_END: memories

    /// Returns how often an image was used.
    pub(crate) fn image_starts(&self) -> ImageStarts {
        let stats = self.pool.stats();
        ImageStarts {
            n_images: stats.n_hits + stats.n_maps + stats.n_blank,
            n_reused: stats.n_hits,
        }
    }
}
