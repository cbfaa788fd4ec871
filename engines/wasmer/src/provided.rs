//! Memories that a module imports, and that start from images.

use alloc::sync::Arc;

use wasmer::{AsStoreMut, ExternType, Imports, Instance, Memory};

use crate::error::InstantiateError;
use crate::frame;
use crate::prepared::{Inner, Prepared};

/// The memories that one instance imports, created by [`Prepared::provide_memories`].
pub struct ProvidedMemories {
    /// The module that they are for.
    inner: Arc<Inner>,
    memories: Vec<Provided>,
}

struct Provided {
    module: String,
    name: String,
    memory: Memory,
}

impl ProvidedMemories {
    /// Returns the memory that is imported from `module` as `name`.
    pub fn get(&self, module: &str, name: &str) -> Option<&Memory> {
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
    /// instantiated: wasmer would write the data over it, the adapter does not.
    ///
    /// # Errors
    ///
    /// [`InstantiateError`].
    pub fn provide_memories(
        &self,
        store: &mut impl AsStoreMut,
    ) -> Result<ProvidedMemories, InstantiateError> {
        self.check_engine(store)?;
        let mut memories = Vec::new();
        if let Some(list) = &self.inner.provided {
            frame::run(list, || {
                for import in self.inner.module.imports() {
                    if let ExternType::Memory(ty) = import.ty() {
                        memories.push(Provided {
                            module: import.module().into(),
                            name: import.name().into(),
                            memory: Memory::new(store, *ty)?,
                        });
                    }
                }
                Ok::<(), wasmer::MemoryError>(())
            })?;
        }
        Ok(ProvidedMemories {
            inner: Arc::clone(&self.inner),
            memories,
        })
    }

    /// Instantiates the module with provided memories, whatever the imports have instead.
    ///
    /// # Errors
    ///
    /// [`InstantiateError`]; its [`OtherModule`](InstantiateError::OtherModule) if the memories
    /// were created by another module.
    pub fn instantiate_with(
        &self,
        store: &mut impl AsStoreMut,
        imports: &Imports,
        memories: &ProvidedMemories,
    ) -> Result<Instance, InstantiateError> {
        if !Arc::ptr_eq(&self.inner, &memories.inner) {
            return Err(InstantiateError::OtherModule);
        }
        self.check_engine(store)?;
        let mut imports = imports.clone();
        for provided in &memories.memories {
            imports.define(&provided.module, &provided.name, provided.memory.clone());
        }
        self.instantiate_resolved(store, &imports)
    }
}
