//! An engine that takes its memories from our pool.

use core::ops::Deref;

use crate::memories::Memories;

/// A [`wasmer::Engine`] whose memories come from [`Memories`].
///
/// Dereferences to wasmer's engine, and converts to it: `Store::new(&engine)` and
/// `Module::new(&engine, wasm)` work. Being a type of its own, it proves that prepared modules are
/// compiled for the memories of the pool.
///
/// A handle: clones are the same engine.
#[derive(Clone, Debug)]
pub struct Engine {
    engine: wasmer::Engine,
    memories: Memories,
}

impl Engine {
    pub(crate) fn new(engine: wasmer::Engine, memories: &Memories) -> Self {
        Self {
            engine,
            memories: memories.clone(),
        }
    }

    /// Returns the pool that the engine takes its memories from.
    pub fn memories(&self) -> &Memories {
        &self.memories
    }
}

impl Deref for Engine {
    type Target = wasmer::Engine;

    fn deref(&self) -> &wasmer::Engine {
        &self.engine
    }
}

impl From<Engine> for wasmer::Engine {
    fn from(engine: Engine) -> Self {
        engine.engine
    }
}

impl From<&Engine> for wasmer::Engine {
    fn from(engine: &Engine) -> Self {
        engine.engine.clone()
    }
}
