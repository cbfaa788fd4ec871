//! A compiled module whose data takes few segments.

use alloc::sync::Arc;

use wasm_meminit_image_builder::rewrite::DataSize;
use wasmi::{AsContextMut, Engine, Instance, Linker, Module};

use crate::error::PrepareError;
use crate::options::Options;
use crate::prepare::prepare;

/// A compiled module whose data takes few segments.
///
/// A handle: clones are the same module. See the [crate's documentation](crate) for what happens
/// to each kind of memory.
#[derive(Clone)]
pub struct Prepared {
    inner: Arc<Inner>,
}

struct Inner {
    module: Module,
    before: DataSize,
    after: DataSize,
}

impl Prepared {
    /// Prepares a binary module: packs its data, and compiles it.
    ///
    /// # Errors
    ///
    /// [`PrepareError`].
    pub fn new(engine: &Engine, wasm: &[u8], options: &Options) -> Result<Self, PrepareError> {
        let packed = prepare(wasm, options)?;
        let module = Module::new(engine, &packed.wasm).map_err(PrepareError::Compile)?;
        let inner = Arc::new(Inner {
            module,
            before: packed.before,
            after: packed.after,
        });
        Ok(Self { inner })
    }

    /// Returns the compiled module: the same program, with other data segments.
    ///
    /// Nothing else is needed to run it: it can be instantiated on its own.
    pub fn module(&self) -> &Module {
        &self.inner.module
    }

    /// Returns how much data the module had.
    pub fn data_before(&self) -> DataSize {
        self.inner.before
    }

    /// Returns how much data wasmi writes for each instance.
    pub fn data_after(&self) -> DataSize {
        self.inner.after
    }

    /// Instantiates the module, and runs its start function: [`Linker::instantiate_and_start`].
    ///
    /// # Errors
    ///
    /// wasmi's, such as a trap, or an import that is missing.
    pub fn instantiate<T>(
        &self,
        store: impl AsContextMut<Data = T>,
        linker: &Linker<T>,
    ) -> Result<Instance, wasmi::Error> {
        linker.instantiate_and_start(store, &self.inner.module)
    }
}

impl core::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Prepared")
            .field("data_before", &self.inner.before)
            .field("data_after", &self.inner.after)
            .finish_non_exhaustive()
    }
}
