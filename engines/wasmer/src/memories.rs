//! The pool of memories, as its users see it.

use alloc::sync::Arc;

use wasm_meminit_apply::PoolStats;

use crate::config::MemoriesConfig;
use crate::pool::Pool;

/// A pool of memories for any number of modules and instances.
///
/// A handle: clones share one pool. Engines and prepared modules hold one, so the pool lives as
/// long as any of them.
#[derive(Clone, Debug)]
pub struct Memories {
    pub(crate) pool: Arc<Pool>,
}

impl Memories {
    /// Creates an empty pool. Address space is reserved as memories are needed.
    pub fn new(config: MemoriesConfig) -> Self {
        Self {
            pool: Arc::new(Pool::new(config)),
        }
    }

    /// Returns the configuration.
    pub fn config(&self) -> &MemoriesConfig {
        &self.pool.config
    }

    /// Returns counters of what the pool has done, and what it holds now.
    pub fn stats(&self) -> PoolStats {
        self.pool.slots.stats()
    }
}
