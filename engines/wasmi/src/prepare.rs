//! Prepares modules: analyses them, builds their images, and makes imports of their memories.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::hash::{BuildHasher as _, Hasher as _};
use std::hash::RandomState;

use wasm_meminit_analysis::{Memory, MemoryIndex, Module, Plan};
use wasm_meminit_image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, RewriteError, externalize, strip_renumbered,
};
use wasm_meminit_image_builder::{Image, ModuleImage};

use crate::error::PrepareError;
use crate::options::{MemoryImports, Options};

/// What is made of a module.
pub(crate) struct Parts {
    /// The module without the data that is in images, importing all of its memories.
    pub(crate) wasm: Vec<u8>,
    /// All memories in index order.
    pub(crate) memories: Vec<Origin>,
}

/// Where a memory comes from.
pub(crate) enum Origin {
    /// The linker.
    Linker,
    /// The adapter, which copies this image into a new one.
    New(Image),
}

impl Parts {
    pub(crate) fn build(wasm: &[u8], options: &Options) -> Result<Self, PrepareError> {
        let module = Module::parse(wasm).map_err(PrepareError::Parse)?;
        let provides = options.memory_imports() == MemoryImports::Provide;
        if provides {
            refuse_duplicates(&module)?;
        }
        let mut policy = options.policy().with_zeroed_imports(provides);
        if module.elements_may_trap() {
            // The trap must leave memories without data.
            policy = policy.with_max_image_size(0);
        }
        let plan = Plan::new(&module, &policy);
        let images = ModuleImage::build(&module, &plan).map_err(PrepareError::Build)?;
        let images = images.into_images();
        let origin = |(memory, image): (&Memory<'_>, Image)| match memory.import {
            Some(_) if !provides => Origin::Linker,
            _ => Origin::New(image),
        };
        let memories = module.memories().values().zip(images).map(origin);
        let memories = memories.collect();
        let stripped = strip_renumbered(&module, &plan).map_err(PrepareError::Rewrite)?;
        let stripped = Module::parse(&stripped).map_err(PrepareError::Parse)?;
        let wasm = import_memories(&stripped).map_err(PrepareError::Rewrite)?;
        Ok(Self { wasm, memories })
    }
}

/// A linker has one definition for each name.
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

/// Makes imports of all memories. Their names do not matter, but must be unused.
fn import_memories(module: &Module<'_>) -> Result<Vec<u8>, RewriteError> {
    let name = |index: MemoryIndex| index.as_u32().to_string();
    match externalize(module, DEFAULT_IMPORT_MODULE, &name) {
        Err(RewriteError::NameTaken { .. }) => {
            // No module can import all names, nor guess this one.
            let random = RandomState::new().build_hasher().finish();
            externalize(
                module,
                &format!("{DEFAULT_IMPORT_MODULE}-{random:x}"),
                &name,
            )
        }
        result => result,
    }
}
