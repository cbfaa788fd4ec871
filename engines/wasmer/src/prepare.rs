//! Prepares modules: analyses them, builds their images, and removes the data that is in them.

use alloc::borrow::Cow;

use wasm_meminit_analysis::{IndexType, Module, Plan, WasmPageSize};
use wasm_meminit_apply::{Artifact, PreparedMemory, PreparedModule};
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_image_builder::rewrite::{internalize, strip_renumbered};

use crate::error::{PrepareError, Unsupported};
use crate::options::{MemoryImports, Options};

/// What is made of a module.
pub(crate) struct Parts {
    /// The module without the data that is in images.
    pub(crate) stripped: Vec<u8>,
    /// All memories in index order.
    pub(crate) memories: Vec<PreparedMemory>,
}

impl Parts {
    pub(crate) fn build(wasm: &[u8], options: &Options) -> Result<Self, PrepareError> {
        let wasm = with_own_memories(wasm, options)?;
        let module = Module::parse(&wasm).map_err(PrepareError::Parse)?;
        refuse_unsupported(&module)?;
        let mut policy = options.policy().with_zeroed_imports(false);
        // An element segment that traps must leave memories without data, and shared memories are
        // not taken from the pool.
        if module.elements_may_trap() || defines_shared(&module) {
            policy = policy.with_max_image_size(0);
        }
        let plan = Plan::new(&module, &policy);
        let image = ModuleImage::build(&module, &plan).map_err(PrepareError::Build)?;
        let artifact = image.encode().map_err(PrepareError::Encode)?;
        let artifact = Artifact::decode(&artifact).map_err(PrepareError::Decode)?;
        let prepared = PreparedModule::new(&artifact).map_err(PrepareError::Images)?;
        Ok(Self {
            stripped: strip_renumbered(&module, &plan).map_err(PrepareError::Rewrite)?,
            memories: prepared.memories().to_vec(),
        })
    }
}

/// Makes the memories that a module imports its own, if they are not those of the imports.
fn with_own_memories<'a>(wasm: &'a [u8], options: &Options) -> Result<Cow<'a, [u8]>, PrepareError> {
    match options.memory_imports() {
        MemoryImports::Link => Ok(Cow::Borrowed(wasm)),
        MemoryImports::Provide => {
            let module = Module::parse(wasm).map_err(PrepareError::Parse)?;
            let wasm = internalize(&module).map_err(PrepareError::Rewrite)?;
            Ok(Cow::Owned(wasm))
        }
    }
}

/// wasmer panics on 64-bit memories if its features allow them, and ignores page sizes.
fn refuse_unsupported(module: &Module<'_>) -> Result<(), PrepareError> {
    for (index, memory) in module.memories() {
        let unsupported = match (memory.ty.index_type, memory.ty.page_size) {
            (IndexType::I64, _) => Unsupported::Memory64,
            (IndexType::I32, WasmPageSize::One) => Unsupported::PageSize,
            (IndexType::I32, WasmPageSize::Kib64) => continue,
        };
        return Err(PrepareError::Unsupported {
            memory: index,
            unsupported,
        });
    }
    Ok(())
}

/// Whether an instantiation creates a shared memory.
fn defines_shared(module: &Module<'_>) -> bool {
    let mut memories = module.memories().values();
    memories.any(|it| it.ty.shared && it.import.is_none())
}
