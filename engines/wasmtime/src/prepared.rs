//! A compiled module whose memories start from images.

use alloc::sync::Arc;

use wasm_meminit_apply::{Artifact, PreparedMemory, PreparedModule};
use wasmtime::{AsContextMut, ExternType, Instance, Linker, Module};

use crate::engine::Engine;
use crate::error::LoadError;
use crate::frame;
use crate::list::{AfterLast, MemoryList, check_sizes};

/// A compiled module whose memories start from images.
///
/// A handle: clones are the same module. See the [crate's documentation](crate) for what happens
/// to each kind of memory.
#[derive(Clone)]
pub struct Prepared {
    pub(crate) inner: Arc<Inner>,
}

/// What a handle refers to.
pub(crate) struct Inner {
    engine: Engine,
    pub(crate) module: Module,
    memories: Box<[PreparedMemory]>,
    /// The memories that the module defines.
    defined: Arc<MemoryList>,
}

impl Prepared {
    /// Connects compiled code and images.
    pub(crate) fn from_parts(
        engine: &Engine,
        module: Module,
        artifact: &[u8],
        has_start: bool,
    ) -> Result<Self, LoadError> {
        let artifact = Artifact::decode(artifact).map_err(LoadError::Artifact)?;
        let prepared = PreparedModule::new(&artifact).map_err(LoadError::Images)?;
        let memories = prepared.memories();
        let pool = &engine.memories().pool;
        check_sizes(memories, pool)?;
        let imports = module.imports();
        let n_imported = imports
            .filter(|it| matches!(it.ty(), ExternType::Memory(_)))
            .count();
        let (_, defined) = memories
            .split_at_checked(n_imported)
            .filter(|(imported, _)| imported.iter().all(PreparedMemory::is_imported))
            .ok_or(LoadError::Inconsistent)?;
        let after_last = match has_start {
            true => AfterLast::Zeroed,
            false => AfterLast::Refused,
        };
        let mut defined = MemoryList::new(Arc::clone(pool), defined.to_vec(), after_last);
        defined.zeroes_on_trap = prepared.elements_may_trap()
            && !has_start
            && defined.memories.iter().any(|it| it.image().is_some());
        Ok(Self {
            inner: Arc::new(Inner {
                engine: engine.clone(),
                module,
                memories: memories.into(),
                defined: Arc::new(defined),
            }),
        })
    }

    /// Returns the compiled module, whose data is in the images.
    ///
    /// For its imports and exports. Instantiated on its own, it has zeroed memories.
    pub fn module(&self) -> &Module {
        &self.inner.module
    }

    /// Returns the engine that the module was compiled for.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Returns all memories of the module in index order, imported ones first.
    pub fn memories(&self) -> &[PreparedMemory] {
        &self.inner.memories
    }

    /// Instantiates the module, as [`Linker::instantiate`] does.
    ///
    /// # Errors
    ///
    /// wasmtime's, such as a [`Trap`](wasmtime::Trap), or a [`MemoryError`](crate::MemoryError);
    /// the cause can be obtained with [`wasmtime::Error::downcast_ref`]. As with wasmtime itself,
    /// what was created until then stays in the store.
    pub fn instantiate<T: 'static>(
        &self,
        store: impl AsContextMut<Data = T>,
        linker: &Linker<T>,
    ) -> wasmtime::Result<Instance> {
        frame::run(&self.inner.defined, || {
            linker.instantiate(store, &self.inner.module)
        })
    }

    /// Does the same as [`instantiate`](Self::instantiate) for stores that need it: see
    /// [`Linker::instantiate_async`].
    ///
    /// The future may be polled by any thread. Dropping it ends the instantiation.
    ///
    /// # Errors
    ///
    /// As for [`instantiate`](Self::instantiate).
    #[cfg(feature = "async")]
    pub async fn instantiate_async<T: Send + 'static>(
        &self,
        store: impl AsContextMut<Data = T> + Send,
        linker: &Linker<T>,
    ) -> wasmtime::Result<Instance> {
        let future = linker.instantiate_async(store, &self.inner.module);
        frame::run_async(&self.inner.defined, future).await
    }

    /// Resolves all imports ahead of time, as [`Linker::instantiate_pre`] does: the fastest way
    /// to many instances.
    ///
    /// # Errors
    ///
    /// wasmtime's, for instance if an import is missing.
    pub fn instantiate_pre<T: 'static>(
        &self,
        linker: &Linker<T>,
    ) -> wasmtime::Result<InstancePre<T>> {
        Ok(InstancePre {
            pre: linker.instantiate_pre(&self.inner.module)?,
            prepared: self.clone(),
        })
    }
}

impl core::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Prepared")
            .field("memories", &self.inner.memories)
            .finish_non_exhaustive()
    }
}

/// A prepared module with all of its imports, ready to be instantiated.
pub struct InstancePre<T: 'static> {
    pre: wasmtime::InstancePre<T>,
    prepared: Prepared,
}

impl<T: 'static> InstancePre<T> {
    /// Instantiates the module.
    ///
    /// # Errors
    ///
    /// As for [`Prepared::instantiate`].
    pub fn instantiate(&self, store: impl AsContextMut<Data = T>) -> wasmtime::Result<Instance> {
        frame::run(&self.prepared.inner.defined, || self.pre.instantiate(store))
    }

    /// Does the same as [`instantiate`](Self::instantiate) for stores that need it.
    ///
    /// # Errors
    ///
    /// As for [`Prepared::instantiate`].
    #[cfg(feature = "async")]
    pub async fn instantiate_async(
        &self,
        store: impl AsContextMut<Data = T>,
    ) -> wasmtime::Result<Instance>
    where
        T: Send,
    {
        let future = self.pre.instantiate_async(store);
        frame::run_async(&self.prepared.inner.defined, future).await
    }

    /// Returns the module.
    pub const fn prepared(&self) -> &Prepared {
        &self.prepared
    }
}

impl<T: 'static> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        Self {
            pre: self.pre.clone(),
            prepared: self.prepared.clone(),
        }
    }
}

impl<T: 'static> core::fmt::Debug for InstancePre<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InstancePre")
            .field("prepared", &self.prepared)
            .finish_non_exhaustive()
    }
}
