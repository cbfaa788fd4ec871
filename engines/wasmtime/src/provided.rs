//! Memories that a module imports, and that start from images.

use alloc::sync::Arc;

use wasm_meminit_apply::PreparedMemory;
use wasmtime::{AsContextMut, Extern, ExternType, Instance, Linker, Module, Store};

use crate::error::{LoadError, MemoryError};
use crate::frame;
use crate::list::{AfterLast, MemoryList};
use crate::memories::Pool;
use crate::prepared::{Inner, Prepared};

/// A module that defines memories which another one imports.
pub(crate) struct Owner {
    /// Exports each memory under its index in the other module.
    module: Module,
    indices: Vec<usize>,
    list: Arc<MemoryList>,
    /// Whether the memories are shared. They belong to no store: an instance in the user's store
    /// would be another one with the same memory, and wasmtime 48.0.8 panics if an address is out
    /// of bounds for two instances.
    is_shared: bool,
}

impl Owner {
    pub(crate) fn new(
        module: Module,
        imported: &[PreparedMemory],
        pool: &Arc<Pool>,
    ) -> Result<Self, LoadError> {
        let mut indices = Vec::new();
        let mut memories = Vec::new();
        for export in module.exports() {
            let index: usize = export.name().parse().map_err(|_| LoadError::Inconsistent)?;
            memories.push(imported.get(index).ok_or(LoadError::Inconsistent)?.clone());
            indices.push(index);
        }
        let is_shared = memories.iter().any(|it| it.ty().shared);
        let list = MemoryList::new(Arc::clone(pool), memories, AfterLast::Refused);
        Ok(Self {
            module,
            indices,
            list: Arc::new(list),
            is_shared,
        })
    }

    /// Creates an instance, and puts its memories at their indices.
    fn provide(
        &self,
        mut store: impl AsContextMut,
        to: &mut [Option<Extern>],
    ) -> wasmtime::Result<()> {
        let instance = frame::run(&self.list, || Instance::new(&mut store, &self.module, &[]))?;
        self.put(store, instance, to);
        Ok(())
    }

    fn put(&self, mut store: impl AsContextMut, instance: Instance, to: &mut [Option<Extern>]) {
        for index in &self.indices {
            to[*index] = instance.get_export(&mut store, &index.to_string());
        }
    }
}

/// The memories that one instance imports, created by [`Prepared::provide_memories`].
pub struct ProvidedMemories {
    /// The module that they are for.
    inner: Arc<Inner>,
    memories: Vec<Provided>,
}

struct Provided {
    module: String,
    name: String,
    memory: Extern,
}

impl ProvidedMemories {
    /// Returns the memory that is imported from `module` as `name`: [`Extern::Memory`] or
    /// [`Extern::SharedMemory`].
    pub fn get(&self, module: &str, name: &str) -> Option<&Extern> {
        let mut all = self.memories.iter();
        let found = all.find(|it| it.module == module && it.name == name);
        found.map(|it| &it.memory)
    }
}

impl core::fmt::Debug for ProvidedMemories {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names = self.memories.iter().map(|it| (&it.module, &it.name));
        f.debug_list().entries(names).finish()
    }
}

impl Prepared {
    /// Creates the memories that one instance imports, with their data.
    ///
    /// For host functions that need the memory before the instance exists, or without an export
    /// of it: call this, store what [`ProvidedMemories::get`] returns, and then call
    /// [`instantiate_with`](Self::instantiate_with). Otherwise,
    /// [`instantiate`](Self::instantiate) does both.
    ///
    /// There are none unless the module was prepared with
    /// [`MemoryImports::Provide`](crate::MemoryImports::Provide).
    ///
    /// The data is already there. The host must not write to the memories before the module is
    /// instantiated: wasmtime would write the data over it, the adapter does not.
    ///
    /// Shared memories belong to no store, so a resource limiter is not asked about them.
    ///
    /// # Errors
    ///
    /// wasmtime's, or a [`MemoryError`].
    pub fn provide_memories(
        &self,
        mut store: impl AsContextMut,
    ) -> wasmtime::Result<ProvidedMemories> {
        let mut memories = self.not_provided();
        for owner in &self.inner.owners {
            match owner.is_shared {
                true => owner.provide(self.private_store(), &mut memories)?,
                false => owner.provide(&mut store, &mut memories)?,
            }
        }
        self.named(memories)
    }

    /// Does the same as [`provide_memories`](Self::provide_memories) for stores that need it.
    ///
    /// # Errors
    ///
    /// As for [`provide_memories`](Self::provide_memories).
    #[cfg(feature = "async")]
    pub async fn provide_memories_async(
        &self,
        mut store: impl AsContextMut<Data: Send> + Send,
    ) -> wasmtime::Result<ProvidedMemories> {
        let mut memories = self.not_provided();
        for owner in &self.inner.owners {
            if owner.is_shared {
                owner.provide(self.private_store(), &mut memories)?;
                continue;
            }
            let future = Instance::new_async(&mut store, &owner.module, &[]);
            let instance = frame::run_async(&owner.list, future).await?;
            owner.put(&mut store, instance, &mut memories);
        }
        self.named(memories)
    }

    /// Instantiates the module with provided memories.
    ///
    /// # Errors
    ///
    /// As for [`instantiate`](Self::instantiate), and [`MemoryError::OtherModule`].
    pub fn instantiate_with<T: 'static>(
        &self,
        mut store: impl AsContextMut<Data = T>,
        linker: &Linker<T>,
        memories: ProvidedMemories,
    ) -> wasmtime::Result<Instance> {
        let imports = self.imports(&mut store, linker, memories)?;
        frame::run(&self.inner.defined, || {
            Instance::new(store, &self.inner.module, &imports)
        })
    }

    /// Does the same as [`instantiate_with`](Self::instantiate_with) for stores that need it.
    ///
    /// # Errors
    ///
    /// As for [`instantiate_with`](Self::instantiate_with).
    #[cfg(feature = "async")]
    pub async fn instantiate_with_async<T: Send + 'static>(
        &self,
        mut store: impl AsContextMut<Data = T> + Send,
        linker: &Linker<T>,
        memories: ProvidedMemories,
    ) -> wasmtime::Result<Instance> {
        let imports = self.imports(&mut store, linker, memories)?;
        let future = Instance::new_async(store, &self.inner.module, &imports);
        frame::run_async(&self.inner.defined, future).await
    }

    fn private_store(&self) -> Store<()> {
        Store::new(self.engine(), ())
    }

    /// Returns a place for each imported memory.
    fn not_provided(&self) -> Vec<Option<Extern>> {
        let memories = self.memories().iter();
        match self.inner.owners.is_empty() {
            true => Vec::new(),
            false => vec![None; memories.filter(|it| it.is_imported()).count()],
        }
    }

    /// Adds the names.
    fn named(&self, memories: Vec<Option<Extern>>) -> wasmtime::Result<ProvidedMemories> {
        let expected = memories.len();
        let imports = self.inner.module.imports();
        let imports = imports.filter(|it| matches!(it.ty(), ExternType::Memory(_)));
        let mut provided = Vec::new();
        for (import, memory) in imports.zip(memories) {
            provided.push(Provided {
                module: import.module().into(),
                name: import.name().into(),
                memory: memory.ok_or(MemoryError::NotRequested {
                    requested: provided.len(),
                    expected,
                })?,
            });
        }
        Ok(ProvidedMemories {
            inner: Arc::clone(&self.inner),
            memories: provided,
        })
    }

    /// Resolves all imports.
    fn imports<T: 'static>(
        &self,
        mut store: impl AsContextMut<Data = T>,
        linker: &Linker<T>,
        memories: ProvidedMemories,
    ) -> wasmtime::Result<Vec<Extern>> {
        if !Arc::ptr_eq(&self.inner, &memories.inner) {
            return Err(wasmtime::Error::new(MemoryError::OtherModule));
        }
        let mut provided = memories.memories.into_iter();
        let mut imports = Vec::new();
        for import in self.inner.module.imports() {
            let is_memory = matches!(import.ty(), ExternType::Memory(_));
            let item = match is_memory.then(|| provided.next()).flatten() {
                Some(provided) => Some(provided.memory),
                None => linker.try_get_by_import(&mut store, &import)?,
            };
            imports.push(item.ok_or_else(|| {
                let (module, name) = (import.module(), import.name());
                wasmtime::format_err!("unknown import: `{module}::{name}` has not been defined")
            })?);
        }
        Ok(imports)
    }
}
