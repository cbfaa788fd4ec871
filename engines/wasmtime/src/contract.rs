//! What no compiler checks: the engine's `unsafe` traits, and its `unsafe` functions.
#![allow(unsafe_code, reason = "the engine's traits for memories are unsafe")]

use alloc::sync::Arc;
use core::sync::atomic::{AtomicPtr, Ordering};

use wasm_meminit_apply::{IndexType, MemoryType};
use wasmtime::{LinearMemory, MemoryCreator};

use crate::engine::Engine;
use crate::error::LoadError;
use crate::file::PreparedFile;
use crate::pool::Pool;
use crate::prepared::Prepared;
use crate::started::{Request, Started};
#[cfg(feature = "component-model")]
use crate::{component::PreparedComponent, component_file::ComponentFile};

/// Creates the memories of an engine.
pub(crate) struct Creator {
    pool: Arc<Pool>,
}

impl Creator {
    pub(crate) const fn new(pool: Arc<Pool>) -> Self {
        Self { pool }
    }
}

// SAFETY: each memory is in its own slot, separate from all others, which nothing but the engine
// accesses until it drops it. (`Frame::finish` zeroes a slot after its instantiation has failed,
// while the caller borrows the store exclusively, so that no code of the store runs.)
// `Started::new` returns only slots with exactly the reservation, and at least the guard, that
// compiled code relies on, and none where `MemorySlot::HAS_GUARDS` is false: there, a slot would
// have no guard, and growth would move it.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        ty: wasmtime::MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let request = Request {
            ty: memory_type(&ty),
            bytes: to_u64(minimum),
            reservation: reserved_size_in_bytes.map_or(0, to_u64),
            guard: to_u64(guard_size_in_bytes),
        };
        let started = Started::new(&self.pool, &request).map_err(|err| err.to_string())?;
        Ok(Box::new(Linear::new(started)))
    }
}

/// The memory in a slot, which is reset when the engine drops it with its store.
struct Linear {
    /// Constant; atomic so that it can be shared between threads.
    base: AtomicPtr<u8>,
    started: Started,
}

impl Linear {
    fn new(mut started: Started) -> Self {
        Self {
            base: AtomicPtr::new(started.as_ptr()),
            started,
        }
    }
}

// SAFETY: `base` is valid for `byte_size` bytes for as long as the slot is in use, which is as
// long as this lives: `MemorySlot` guarantees it. Where `MemorySlot::HAS_GUARDS` is true, it also
// guarantees that everything after these bytes, rounded up to a host page, up to the end of the
// guard, faults; and that growth moves nothing. Elsewhere there is no `Started`: `Pool::acquire`,
// from which all slots are, returns an error.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        to_usize(self.started.len())
    }

    fn byte_capacity(&self) -> usize {
        to_usize(self.started.max_bytes())
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        Ok(self.started.grow(to_u64(new_size))?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.base.load(Ordering::Relaxed)
    }
}

/// Converts the engine's type to ours.
fn memory_type(ty: &wasmtime::MemoryType) -> MemoryType {
    use wasm_meminit_analysis::WasmPageSize;

    MemoryType {
        index_type: match ty.is_64() {
            true => IndexType::I64,
            false => IndexType::I32,
        },
        shared: ty.is_shared(),
        page_size: match ty.page_size() {
            1 => WasmPageSize::One,
            _ => WasmPageSize::Kib64,
        },
        min: ty.minimum(),
        max: ty.maximum(),
    }
}

fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Prepared {
    /// Loads a module that [`precompile`](Self::precompile) wrote, with its images.
    ///
    /// Nothing is parsed or compiled. The bytes are not needed afterwards.
    ///
    /// ```
    /// use core::num::NonZeroUsize;
    /// use wasm_meminit_wasmtime::{Memories, MemoriesConfig, Options, Prepared};
    ///
    /// # fn main() -> wasmtime::Result<()> {
    /// let memories = Memories::new(MemoriesConfig::new(NonZeroUsize::MIN));
    /// let engine = memories.engine(&mut wasmtime::Config::new())?;
    /// let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 8) "hello"))"#)?;
    /// let file = Prepared::precompile(&engine, &wasm, &Options::new())?;
    ///
    /// // SAFETY: `precompile` wrote these bytes.
    /// let prepared = unsafe { Prepared::deserialize(&engine, &file)? };
    /// # assert_eq!(prepared.memories()[0].ty().min, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Safety
    ///
    /// As for [`wasmtime::Module::deserialize`]: the compiled code is executed as it is. The
    /// bytes must be what [`precompile`](Self::precompile) returned. The checksum detects damage,
    /// not intent.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: [`LoadError::Engine`] if the module was compiled for another version or
    /// configuration of wasmtime; others if the file is damaged or is not one.
    pub unsafe fn deserialize(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        let file = PreparedFile::decode(bytes)?;
        // SAFETY: `precompile` got this part of the file from `Engine::precompile_module`.
        let module = unsafe { wasmtime::Module::deserialize(engine, file.code) };
        let module = module.map_err(LoadError::Engine)?;
        Self::from_parts(engine, module, file.artifact, file.has_start)
    }
}

#[cfg(feature = "component-model")]
impl PreparedComponent {
    /// Loads a component that [`precompile`](Self::precompile) wrote, with its images.
    ///
    /// Nothing is parsed or compiled. The bytes are not needed afterwards.
    ///
    /// # Safety
    ///
    /// As for [`wasmtime::component::Component::deserialize`]: the compiled code is executed as it
    /// is. The bytes must be what [`precompile`](Self::precompile) returned. The checksum detects
    /// damage, not intent.
    ///
    /// # Errors
    ///
    /// As for [`Prepared::deserialize`].
    pub unsafe fn deserialize(engine: &Engine, bytes: &[u8]) -> Result<Self, LoadError> {
        let file = ComponentFile::decode(bytes)?;
        // SAFETY: `precompile` got this part of the file from `Engine::precompile_component`.
        let component = unsafe { wasmtime::component::Component::deserialize(engine, file.code) };
        let component = component.map_err(LoadError::Engine)?;
        Self::from_parts(engine, component, &file)
    }
}
