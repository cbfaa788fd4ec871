//! The pool of memories, and the engines that take their memories from it.

use alloc::sync::Arc;

use wasm_meminit_apply::{AcquireError, MemoryImage, PoolStats, PooledSlot, SlotPool};

use crate::config::MemoriesConfig;
use crate::contract::SlotTunables;
use crate::engine::Engine;

/// A pool of memories for any number of modules and instances.
///
/// A handle: clones share one pool. Engines and prepared modules hold one, so the pool lives as
/// long as any of them.
#[derive(Clone, Debug)]
pub struct Memories {
    pub(crate) pool: Arc<Pool>,
}

/// What a handle refers to.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) slots: SlotPool,
    config: MemoriesConfig,
}

impl Memories {
    /// Creates an empty pool. Address space is reserved as memories are needed.
    pub fn new(config: MemoriesConfig) -> Self {
        Self {
            pool: Arc::new(Pool {
                slots: SlotPool::new(config.pool()),
                config,
            }),
        }
    }

    /// Returns the configuration.
    pub fn config(&self) -> &MemoriesConfig {
        &self.pool.config
    }

    /// Makes an engine take its memories from this pool, by setting its tunables.
    ///
    /// [`EngineBuilder::engine`](wasmer::sys::EngineBuilder::engine) returns such an engine. Its
    /// former tunables still create tables, globals, tags and shared memories, and determine the
    /// size of the stack; of these tunables, methods that create several items at once are not
    /// called.
    pub fn engine(&self, mut engine: wasmer::sys::engine::Engine) -> Engine {
        let tunables = SlotTunables::new(Arc::clone(&self.pool), engine.clone());
        engine.set_tunables(tunables);
        Engine::new(engine.into(), self)
    }

    /// Returns counters of what the pool has done, and what it holds now.
    pub fn stats(&self) -> PoolStats {
        self.pool.slots.stats()
    }
}

impl Pool {
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
