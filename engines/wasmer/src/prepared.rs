//! A compiled module whose memories start from images.

use alloc::sync::Arc;

use wasm_meminit_apply::PreparedMemory;
use wasmer::{AsStoreMut, Imports, Instance, Module};

use crate::engine::Engine;
use crate::error::{InstantiateError, PrepareError};
use crate::frame;
use crate::list::MemoryList;
use crate::options::Options;
use crate::prepare::Parts;

/// A compiled module whose memories start from images.
///
/// A handle: clones are the same module. See the [crate's documentation](crate) for what happens
/// to each kind of memory.
#[derive(Clone)]
pub struct Prepared {
    inner: Arc<Inner>,
}

/// What a handle refers to.
struct Inner {
    engine: Engine,
    module: Module,
    memories: Box<[PreparedMemory]>,
    /// The memories that the module defines.
    defined: Arc<MemoryList>,
}

impl Prepared {
    /// Prepares a binary module: builds its images, removes its data, and compiles it.
    ///
    /// # Errors
    ///
    /// [`PrepareError`].
    pub fn new(engine: &Engine, wasm: &[u8], options: &Options) -> Result<Self, PrepareError> {
        let parts = Parts::build(wasm, options)?;
        let module = Module::new(engine, parts.stripped).map_err(PrepareError::Compile)?;
        let memories = parts.memories;
        let n_imported = memories.iter().filter(|it| it.is_imported()).count();
        // Imported memories come first.
        let (_, defined) = memories.split_at(n_imported);
        let pool = Arc::clone(&engine.memories().pool);
        let defined = MemoryList::new(pool, defined.to_vec());
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

    /// Instantiates the module, as [`Instance::new`] does.
    ///
    /// # Errors
    ///
    /// [`InstantiateError`]. As with wasmer itself, what was created until then stays in the
    /// store.
    pub fn instantiate(
        &self,
        store: &mut impl AsStoreMut,
        imports: &Imports,
    ) -> Result<Instance, InstantiateError> {
        // The store's engine creates the memories.
        if store.as_store_mut().engine().id() != self.inner.engine.id() {
            return Err(InstantiateError::OtherEngine);
        }
        frame::run(&self.inner.defined, || {
            Ok(Instance::new(store, &self.inner.module, imports)?)
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
