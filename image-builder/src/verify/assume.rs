//! Applies an artifact's assumptions about the host to the module.
//!
//! The artifact records them, so the user need not repeat them. Values that the user does
//! give describe the host: they are compared with the assumptions and never replaced.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use wasm_meminit_analysis::{Assumption, ImportName, MemoryIndex, Module};

use super::finding::{Finding, HostFact};
use crate::Artifact;

/// What may be relied on in addition to the module itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assumed {
    /// Imported memories that are zeroed and distinct.
    pub(super) zeroed: BTreeSet<MemoryIndex>,
    /// Sizes in bytes of imported memories that are larger than declared.
    pub(super) sizes: BTreeMap<MemoryIndex, u64>,
    /// All assumptions, for the report.
    pub(super) list: Vec<Assumption>,
}

/// Returns the module with the values and sizes that the artifact assumes.
///
/// # Errors
///
/// A finding if the module has no such import, or if the import is known to have a different
/// value or a smaller size.
pub(super) fn assume<'a>(
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
    let mismatch = || Finding::Assumption {
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
                return Err(mismatch());
            }
            match module.global_value(*global) {
                Some(host) if host == *value => Ok(module),
                Some(host) => Err(Finding::Assumption {
                    assumption: assumption.clone(),
                    host: Some(HostFact::GlobalValue(host)),
                }),
                None => module.with_global(*global, *value).map_err(|_| mismatch()),
            }
        }
        Assumption::ZeroedMemory {
            memory,
            module: from,
            name,
        } => {
            if !is(memory_import(&module, *memory), from, name) {
                return Err(mismatch());
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
                return Err(mismatch());
            }
            assumed.sizes.insert(*memory, *bytes);
            let declared = module.memories().get(*memory);
            let declared = declared.and_then(|it| it.ty.min_bytes());
            match module.memory_size(*memory) {
                // The host's memory may be larger than assumed.
                Some(size) if *bytes <= size => Ok(module),
                Some(size) if Some(size) != declared => Err(Finding::Assumption {
                    assumption: assumption.clone(),
                    host: Some(HostFact::MemoryBytes(size)),
                }),
                _ => module
                    .with_memory_size(*memory, *bytes)
                    .map_err(|_| mismatch()),
            }
        }
        // Checked where the start function is run.
        Assumption::StartFunction { .. } => Ok(module),
        _ => Err(mismatch()),
    }
}
