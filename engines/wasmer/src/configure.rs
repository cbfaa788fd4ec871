//! Engines that take their memories from a pool.

use alloc::sync::Arc;

use crate::contract::SlotTunables;
use crate::engine::Engine;
use crate::error::MemoryError;
use crate::memories::Memories;
use crate::pool::check_guards;

impl Memories {
    /// Makes an engine take its memories from this pool, by setting its tunables.
    ///
    /// [`EngineBuilder::engine`](wasmer::sys::EngineBuilder::engine) returns such an engine. Its
    /// former tunables still create tables, globals, tags and shared memories, and determine the
    /// size of the stack; of these tunables, methods that create several items at once are not
    /// called.
    ///
    /// # Errors
    ///
    /// [`MemoryError::NoGuards`] on systems that cannot map memories.
    pub fn engine(&self, mut engine: wasmer::sys::engine::Engine) -> Result<Engine, MemoryError> {
        check_guards()?;
        let tunables = SlotTunables::new(Arc::clone(&self.pool), engine.clone());
        engine.set_tunables(tunables);
        Ok(Engine::new(engine.into(), self))
    }
}
