//! A compiled module whose memories start from images.

use alloc::sync::Arc;
use alloc::vec::Vec;

use wasm_meminit_analysis::MemoryIndex;
use wasm_meminit_apply::copy_into_zeroed;
use wasmi::{
    AsContextMut, Engine, ExternType, ImportType, Instance, Linker, Memory, MemoryType, Module,
};

use crate::error::{InstantiateError, PrepareError};
use crate::options::Options;
use crate::prepare::{Origin, Parts};

/// A compiled module whose memories start from images.
///
/// A handle: clones are the same module. See the [crate's documentation](crate) for what happens
/// to each kind of memory.
#[derive(Clone)]
pub struct Prepared {
    inner: Arc<Inner>,
}

struct Inner {
    module: Module,
    /// All memories in index order. The module imports them all.
    memories: Vec<Origin>,
}

impl Prepared {
    /// Prepares a binary module: builds its images, removes its data, and compiles it.
    ///
    /// # Errors
    ///
    /// [`PrepareError`].
    pub fn new(engine: &Engine, wasm: &[u8], options: &Options) -> Result<Self, PrepareError> {
        let Parts { wasm, memories } = Parts::build(wasm, options)?;
        let module = Module::new(engine, &wasm).map_err(PrepareError::Compile)?;
        let inner = Arc::new(Inner { module, memories });
        Ok(Self { inner })
    }

    /// Returns the compiled module, which imports all of its memories.
    ///
    /// For its imports and exports. Instantiated on its own, it has no data.
    pub fn module(&self) -> &Module {
        &self.inner.module
    }

    /// Returns how many bytes are copied into new memories for each instance.
    pub fn image_bytes(&self) -> u64 {
        let image_bytes = |origin: &Origin| match origin {
            Origin::Linker => 0,
            Origin::New(image) => image.as_ref().bytes().len() as u64,
        };
        self.inner.memories.iter().map(image_bytes).sum()
    }

    /// Instantiates the module once, and runs its start function.
    ///
    /// Copies the linker's list of definitions; see [`instantiate_pre`](Self::instantiate_pre).
    ///
    /// # Errors
    ///
    /// [`InstantiateError`]. As with wasmi itself, what was created until then stays in the store.
    pub fn instantiate<T>(
        &self,
        store: impl AsContextMut<Data = T>,
        linker: &Linker<T>,
    ) -> Result<Instance, InstantiateError> {
        self.instantiate_pre(linker)?.instantiate(store)
    }

    /// Copies the linker, for any number of instances. What is defined in it later is not used.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::OtherEngine`].
    pub fn instantiate_pre<T>(
        &self,
        linker: &Linker<T>,
    ) -> Result<InstancePre<T>, InstantiateError> {
        if !Engine::same(linker.engine(), self.inner.module.engine()) {
            return Err(InstantiateError::OtherEngine);
        }
        let mut linker = linker.clone();
        // Each instance has other memories.
        linker.allow_shadowing(true);
        Ok(InstancePre {
            prepared: self.clone(),
            linker,
        })
    }
}

impl Prepared {
    /// Creates the memories of one instance, so that host functions can be given those that the
    /// module does not export.
    ///
    /// # Errors
    ///
    /// [`InstantiateError::Memory`] and [`InstantiateError::OtherEngine`].
    pub fn provide_memories(
        &self,
        mut store: impl AsContextMut,
    ) -> Result<ProvidedMemories, InstantiateError> {
        self.check_store(&store)?;
        let mut memories = Vec::with_capacity(self.inner.memories.len());
        for ((_, ty), origin) in memory_imports(self.module()).zip(&self.inner.memories) {
            let Origin::New(image) = origin else {
                memories.push(None);
                continue;
            };
            let failed = |error| InstantiateError::Memory {
                // Never truncates: a module has fewer memories.
                index: MemoryIndex::from_u32(memories.len() as u32),
                error,
            };
            let memory = Memory::new(&mut store, ty).map_err(failed)?;
            copy_into_zeroed(image.as_ref(), memory.data_mut(&mut store))
                .map_err(|err| failed(wasmi::Error::new(err.to_string())))?;
            memories.push(Some(memory));
        }
        Ok(ProvidedMemories(memories))
    }

    fn check_store(&self, store: &impl AsContextMut) -> Result<(), InstantiateError> {
        match Engine::same(store.as_context().engine(), self.module().engine()) {
            true => Ok(()),
            false => Err(InstantiateError::OtherEngine),
        }
    }
}

/// Returns the imports of all memories, in index order.
fn memory_imports(module: &Module) -> impl Iterator<Item = (ImportType<'_>, MemoryType)> {
    module.imports().filter_map(|import| match *import.ty() {
        ExternType::Memory(ty) => Some((import, ty)),
        _ => None,
    })
}

impl core::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Prepared")
            .field("image_bytes", &self.image_bytes())
            .finish_non_exhaustive()
    }
}

/// A prepared module and its imports.
pub struct InstancePre<T> {
    prepared: Prepared,
    linker: Linker<T>,
}

/// The memories of an instance that is about to be created, in index order.
///
/// They belong to a store.
#[derive(Clone, Debug)]
pub struct ProvidedMemories(Vec<Option<Memory>>);

impl ProvidedMemories {
    /// Returns a memory; `None` if it comes from the linker, or if there is none.
    pub fn get(&self, index: MemoryIndex) -> Option<Memory> {
        let index = usize::try_from(index.as_u32()).ok()?;
        self.0.get(index).copied().flatten()
    }
}

impl<T> InstancePre<T> {
    /// Instantiates the module, and runs its start function.
    ///
    /// # Errors
    ///
    /// [`InstantiateError`]. As with wasmi itself, what was created until then stays in the store.
    pub fn instantiate(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
    ) -> Result<Instance, InstantiateError> {
        let memories = self.prepared.provide_memories(&mut store)?;
        self.instantiate_with(store, &memories)
    }

    /// Does the same with memories that [`Prepared::provide_memories`] has just created in this
    /// store. Another instance must not have them.
    ///
    /// # Errors
    ///
    /// As for [`instantiate`](Self::instantiate).
    ///
    /// # Panics
    ///
    /// wasmi panics if the memories belong to another store.
    pub fn instantiate_with(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        memories: &ProvidedMemories,
    ) -> Result<Instance, InstantiateError> {
        let module = self.prepared.module();
        self.prepared.check_store(&store)?;
        for ((import, _), memory) in memory_imports(module).zip(&memories.0) {
            let Some(memory) = *memory else {
                continue;
            };
            let defined = self.linker.define(import.module(), import.name(), memory);
            defined.map_err(|err| InstantiateError::Wasmi(err.into()))?;
        }
        let instance = self.linker.instantiate_and_start(&mut store, module);
        instance.map_err(InstantiateError::Wasmi)
    }

    /// Returns the module.
    pub const fn prepared(&self) -> &Prepared {
        &self.prepared
    }
}

impl<T> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        Self {
            prepared: self.prepared.clone(),
            linker: self.linker.clone(),
        }
    }
}

impl<T> core::fmt::Debug for InstancePre<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("InstancePre")
            .field("prepared", &self.prepared)
            .finish_non_exhaustive()
    }
}
