//! The pool of memories, as its users see it.

use alloc::sync::Arc;

use wasm_meminit_apply::PoolStats;

use crate::config::MemoriesConfig;
use crate::frame;
use crate::list::{AfterLast, MemoryList};
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

    /// Calls `f`, in which every memory is zeroed, even within the instantiation of a prepared
    /// module.
    ///
    /// A resource limiter must call this if it instantiates modules that are not prepared: it
    /// runs before the memory that it is asked about is created, and the next memory that is
    /// requested would be taken for that one. So must an epoch callback, since the engine also
    /// runs code in order to write data. Other code does not need it. If `f` returns a future,
    /// what that does later is not covered.
    pub fn zeroed<R>(&self, f: impl FnOnce() -> R) -> R {
        let none = MemoryList::new(Arc::clone(&self.pool), Vec::new(), AfterLast::Zeroed);
        let _scope = frame::Frame::new(Arc::new(none)).enter();
        f()
    }

    /// Returns counters of what the pool has done, and what it holds now.
    pub fn stats(&self) -> PoolStats {
        self.pool.slots.stats()
    }
}
