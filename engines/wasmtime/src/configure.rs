//! Engines that take their memories from a pool: configured, created, accepted.

use alloc::sync::Arc;

use wasmtime::{Config, InstanceAllocationStrategy};

use crate::contract::Creator;
use crate::engine::Engine;
use crate::memories::Memories;

impl Memories {
    /// Configures an engine that takes its memories from this pool, and creates it.
    ///
    /// See [`configure`](Self::configure) for the settings that are replaced.
    ///
    /// # Errors
    ///
    /// wasmtime's, if it refuses the configuration;
    /// [`MemoryError::NoGuards`](crate::MemoryError::NoGuards) on systems that cannot map memories.
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
    ///
    /// On systems that cannot map memories, the engine gets none: each request for one fails with
    /// [`MemoryError::NoGuards`](crate::MemoryError::NoGuards).
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
    /// its memories from elsewhere, which is tested by creating one;
    /// [`MemoryError::NoGuards`](crate::MemoryError::NoGuards) on systems that cannot map memories.
    #[cfg(feature = "compile")]
    pub fn adopt(&self, engine: wasmtime::Engine) -> wasmtime::Result<Engine> {
        let engine = Engine::checked(engine, self)?;
        probe(&engine)?;
        Ok(engine)
    }
}

/// Creates a memory, and fails unless our pool is asked for it.
#[cfg(feature = "compile")]
fn probe(engine: &Engine) -> wasmtime::Result<()> {
    use crate::error::{EngineMismatch, MemoryError};
    use crate::options::Options;
    use crate::prepared::Prepared;

    /// A module that only defines an empty memory.
    const PROBE: &[u8] = b"\0asm\x01\0\0\0\x05\x03\x01\0\0";
    let prepared = Prepared::new(engine, PROBE, &Options::new())?;
    let mut store = wasmtime::Store::new(engine, ());
    match prepared.instantiate(&mut store, &wasmtime::Linker::new(engine)) {
        Err(err) if matches!(err.downcast_ref(), Some(MemoryError::NotRequested { .. })) => {
            Err(wasmtime::Error::new(EngineMismatch::OtherMemories))
        }
        tried => tried.map(drop),
    }
}
