//! Prepares modules: analyses them, builds their images, and removes the data that is in them.

use alloc::collections::BTreeSet;

use wasm_meminit_analysis::{IndexType, Module, Plan, WasmPageSize};
use wasm_meminit_apply::{Artifact, Host, PreparedMemory, PreparedModule};
use wasm_meminit_image_builder::ModuleImage;
use wasm_meminit_image_builder::rewrite::strip_renumbered;

use crate::error::{PrepareError, Unsupported};
use crate::options::{MemoryImports, Options};

/// What is made of a module.
pub(crate) struct Parts {
    /// The module without the data that is in images.
    pub(crate) stripped: Vec<u8>,
    /// All memories in index order.
    pub(crate) memories: Vec<PreparedMemory>,
    /// Whether imported memories are provided; `false` if there are none.
    pub(crate) provides: bool,
}

impl Parts {
    pub(crate) fn build(wasm: &[u8], options: &Options) -> Result<Self, PrepareError> {
        let module = Module::parse(wasm).map_err(PrepareError::Parse)?;
        refuse_unsupported(&module)?;
        let provides =
            options.memory_imports() == MemoryImports::Provide && module.n_imported_memories() != 0;
        if provides {
            refuse_duplicates(&module)?;
        }
        let mut policy = options.policy().with_zeroed_imports(provides);
        // An element segment that traps must leave memories without data, and shared memories are
        // not taken from the pool.
        if module.elements_may_trap() || creates_shared(&module, provides) {
            policy = policy.with_max_image_size(0);
        }
        let plan = Plan::new(&module, &policy);
        let image = ModuleImage::build(&module, &plan).map_err(PrepareError::Build)?;
        let artifact = image.encode().map_err(PrepareError::Encode)?;
        let artifact = Artifact::decode(&artifact).map_err(PrepareError::Decode)?;
        let host = match provides {
            true => provided(&module),
            false => Host::new(),
        };
        let prepared = PreparedModule::for_host(&artifact, &host).map_err(PrepareError::Images)?;
        Ok(Self {
            stripped: strip_renumbered(&module, &plan).map_err(PrepareError::Rewrite)?,
            memories: prepared.memories().to_vec(),
            provides,
        })
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

/// Imports have one definition for each name.
fn refuse_duplicates(module: &Module<'_>) -> Result<(), PrepareError> {
    let mut names = BTreeSet::new();
    let imports = module.memories().values().filter_map(|it| it.import);
    for import in imports {
        if !names.insert((import.module, import.name)) {
            return Err(PrepareError::DuplicateImport {
                module: import.module.into(),
                name: import.name.into(),
            });
        }
    }
    Ok(())
}

/// Whether an instantiation creates a shared memory.
fn creates_shared(module: &Module<'_>, provides: bool) -> bool {
    let mut memories = module.memories().values();
    memories.any(|it| it.ty.shared && (provides || it.import.is_none()))
}

/// Declares the memories that we provide to a module.
fn provided(module: &Module<'_>) -> Host {
    let mut host = Host::new();
    for memory in module.memories().values() {
        if let Some(import) = memory.import {
            // Never saturates: wasmer has no 64-bit memories.
            let bytes = memory.ty.min_bytes().unwrap_or(u64::MAX);
            host = host.with_fresh_memory(import.module, import.name, bytes);
        }
    }
    host
}
