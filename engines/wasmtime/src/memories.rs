//! The pool of memories, and the engines that take their memories from it.

use alloc::sync::Arc;

use wasm_meminit_apply::{AcquireError, MemoryImage, PoolStats, PooledSlot, SlotPool};
use wasmtime::{Config, InstanceAllocationStrategy};

use crate::config::MemoriesConfig;
use crate::contract::Creator;
use crate::engine::Engine;
use crate::frame;
use crate::list::{AfterLast, MemoryList};

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
    pub(crate) config: MemoriesConfig,
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

    /// Configures an engine that takes its memories from this pool, and creates it.
    ///
    /// See [`configure`](Self::configure) for the settings that are replaced.
    ///
    /// # Errors
    ///
    /// wasmtime's, if it refuses the configuration.
    pub fn engine(&self, config: &mut Config) -> wasmtime::Result<Engine> {
        self.configure(config);
        Engine::checked(wasmtime::Engine::new(config)?, self)
    }

    /// Sets what an engine needs in order to take its memories from this pool.
    ///
    /// For an engine that something else creates; [`adopt`](Self::adopt) then accepts it.
    /// These settings are replaced:
    ///
    /// * the memory creator;
    /// * the allocation strategy: on demand, since wasmtime's pooling allocator has its own
    ///   memories;
    /// * reservations and guards, of linear memories and of heaps for garbage collection;
    /// * `memory_init_cow`: off, since wasmtime cannot map its own images into these memories.
    ///   It writes the data of modules that were not [prepared](crate::Prepared).
    pub fn configure(&self, config: &mut Config) {
        let ours = &self.pool.config;
        config
            .allocation_strategy(InstanceAllocationStrategy::OnDemand)
            .memory_init_cow(false)
            .memory_reservation(ours.reservation())
            .memory_guard_size(ours.guard())
            .gc_heap_reservation(ours.reservation())
            .gc_heap_guard_size(ours.gc_guard())
            .with_host_memory(Arc::new(Creator::new(Arc::clone(&self.pool))));
    }

    /// Accepts an engine that was created from a [configured](Self::configure) `Config`.
    ///
    /// # Errors
    ///
    /// [`EngineMismatch`](crate::EngineMismatch) if the engine's settings differ, or if it takes
    /// its memories from elsewhere, which is tested by creating one.
    #[cfg(feature = "compile")]
    pub fn adopt(&self, engine: wasmtime::Engine) -> wasmtime::Result<Engine> {
        let engine = Engine::checked(engine, self)?;
        engine.probe()?;
        Ok(engine)
    }

    /// Calls `f`, in which every memory is zeroed, even within the instantiation of a prepared
    /// module.
    ///
    /// A resource limiter must call this if it instantiates modules that are not prepared: it
    /// runs before the memory that it is asked about is created, and the next memory that is
    /// requested would be taken for that one. Other code has no need of it.
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
