//! An engine that takes its memories from our pool.

use core::ops::Deref;

use crate::error::EngineMismatch;
use crate::memories::Memories;
use crate::pool::check_guards;

/// A [`wasmtime::Engine`] whose memories come from [`Memories`].
///
/// Dereferences to wasmtime's engine, so `&engine` works wherever that is expected. Being a type
/// of its own, it proves that the images of prepared modules will be used: an engine with other
/// memories would run them without their data.
///
/// A handle: clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
    memories: Memories,
}

impl Engine {
    /// Checks that memories have guards, and compares the engine's settings with the pool's.
    pub(crate) fn checked(engine: wasmtime::Engine, memories: &Memories) -> wasmtime::Result<Self> {
        check_guards().map_err(wasmtime::Error::new)?;
        let config = memories.config();
        let settings = [
            (
                "memory_reservation",
                engine.get_memory_reservation(),
                config.reservation(),
            ),
            (
                "memory_guard_size",
                engine.get_memory_guard_size(),
                config.guard(),
            ),
            (
                "gc_heap_reservation",
                engine.get_gc_heap_reservation(),
                config.reservation(),
            ),
            (
                "gc_heap_guard_size",
                engine.get_gc_heap_guard_size(),
                config.gc_guard(),
            ),
            (
                "memory_init_cow",
                u64::from(engine.get_memory_init_cow()),
                0,
            ),
        ];
        for (setting, found, expected) in settings {
            if found != expected {
                return Err(wasmtime::Error::new(EngineMismatch::Setting {
                    setting,
                    found,
                    expected,
                }));
            }
        }
        Ok(Self {
            engine,
            memories: memories.clone(),
        })
    }

    /// Returns the pool that the engine takes its memories from.
    pub fn memories(&self) -> &Memories {
        &self.memories
    }
}

impl Deref for Engine {
    type Target = wasmtime::Engine;

    fn deref(&self) -> &wasmtime::Engine {
        &self.engine
    }
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine")
            .field("memories", &self.memories)
            .finish_non_exhaustive()
    }
}
