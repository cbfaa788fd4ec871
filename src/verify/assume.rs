//! What an artifact takes for granted about the host, put into the module.
//!
//! An artifact says so itself, so that nothing has to be repeated. What the user says all
//! the same is what the host has: it is compared, and wins no argument.

use alloc::collections::{BTreeMap, BTreeSet};

use wasm_meminit_analysis::{Assumption, ImportName, MemoryIndex, Module};
use wasm_meminit_image_builder::Artifact;

use super::Finding;

/// What may be relied on, besides what the module says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assumed {
    /// Imported memories that are zero, and each another memory.
    pub(crate) zeroed: BTreeSet<MemoryIndex>,
    /// Sizes in bytes of imported memories that are larger than declared.
    pub(crate) sizes: BTreeMap<MemoryIndex, u64>,
    /// All of it, as sentences.
    pub(crate) list: Vec<Assumption>,
}

/// The module with the values and sizes that the artifact assumes.
///
/// # Errors
///
/// A finding where the module has no such import, or where it is known to have another
/// value or a smaller size.
pub(crate) fn assume<'a>(
    mut module: Module<'a>,
    artifact: &Artifact<'_>,
) -> Result<(Module<'a>, Assumed), Finding> {
    let mut assumed = Assumed::default();
    for assumption in artifact.assumptions() {
        module = apply(module, &assumption, &mut assumed)?;
        assumed.list.push(assumption);
    }
    Ok((module, assumed))
}

fn apply<'a>(
    module: Module<'a>,
    assumption: &Assumption,
    assumed: &mut Assumed,
) -> Result<Module<'a>, Finding> {
    let unlike = || Finding::Assumption {
        assumption: assumption.clone(),
        host: None,
    };
    let is = |import: Option<ImportName<'_>>, module: &str, name: &str| {
        import.is_some_and(|it| it.module == module && it.name == name)
    };
    let memory_import = |module: &Module<'a>, memory: MemoryIndex| {
        module.memories().get(memory).and_then(|it| it.import)
    };
    match assumption {
        Assumption::GlobalValue {
            global,
            module: from,
            name,
            value,
        } => {
            if !is(module.global_imports().get(*global).copied(), from, name) {
                return Err(unlike());
            }
            match module.global_value(*global) {
                Some(host) if host == *value => Ok(module),
                Some(host) => Err(Finding::Assumption {
                    assumption: assumption.clone(),
                    host: Some(host.to_string()),
                }),
                None => module.with_global(*global, *value).map_err(|_| unlike()),
            }
        }
        Assumption::ZeroedMemory {
            memory,
            module: from,
            name,
        } => {
            if !is(memory_import(&module, *memory), from, name) {
                return Err(unlike());
            }
            assumed.zeroed.insert(*memory);
            Ok(module)
        }
        Assumption::MemorySize {
            memory,
            module: from,
            name,
            bytes,
        } => {
            if !is(memory_import(&module, *memory), from, name) {
                return Err(unlike());
            }
            assumed.sizes.insert(*memory, *bytes);
            let declared = module.memories()[*memory].ty.min_bytes();
            match module.memory_size(*memory) {
                // At least that large: what the host has may be more.
                Some(size) if *bytes <= size => Ok(module),
                Some(size) if Some(size) != declared => Err(Finding::Assumption {
                    assumption: assumption.clone(),
                    host: Some(format!("{size} bytes")),
                }),
                _ => module
                    .with_memory_size(*memory, *bytes)
                    .map_err(|_| unlike()),
            }
        }
        // What stands in place of the start function is checked where that is run.
        Assumption::StartFunction { .. } => Ok(module),
        _ => Err(unlike()),
    }
}
