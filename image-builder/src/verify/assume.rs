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
            if module.is_imported_twice(*memory) {
                return Err(Finding::ImportedTwice { memory: *memory });
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
            let declared = module.memories().get(*memory);
            let declared = declared.and_then(|it| it.ty.min_bytes());
            // Every host has that much.
            if declared.is_none_or(|declared| *bytes <= declared) {
                return Err(mismatch());
            }
            assumed.sizes.insert(*memory, *bytes);
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

#[cfg(test)]
mod tests {
    use alloc::format;

    use wasm_meminit_analysis::{GlobalIndex, Plan, Policy, Value};

    use super::*;
    use crate::ModuleImage;
    use crate::verify::verify;
    use crate::{Artifact, SourceHash};

    #[test]
    fn a_host_that_has_something_else_is_a_finding() {
        let wasm = wat::parse_str(
            r#"(module
                (import "env" "base" (global $base i32))
                (import "env" "memory" (memory 1))
                (data (global.get $base) "data"))"#,
        );
        let wasm = wasm.expect("well formed");
        let memory = MemoryIndex::from_u32(0);
        let host = |value, bytes| {
            let module = Module::parse(&wasm).expect("valid");
            let module = module.with_global(GlobalIndex::from_u32(0), Value::I32(value));
            let module = module.expect("an integer");
            module.with_memory_size(memory, bytes).expect("larger")
        };
        let module = host(0x1_0000, 3 << 16);
        let plan = Plan::new(&module, &Policy::default().with_zeroed_imports(true));
        let built = ModuleImage::build(&module, &plan).expect("small");
        let bytes = built.encode().expect("small");
        let artifact = Artifact::decode(&bytes).expect("just encoded");
        let found = |module| match verify(module, SourceHash([0; 32]), &artifact) {
            Ok(verified) => {
                assert_eq!(verified.assumptions.len(), 3);
                None
            }
            Err(Finding::Assumption { host, .. }) => host,
            Err(other) => panic!("{other}"),
        };

        assert_eq!(found(module), None);
        assert_eq!(found(host(0x1_0000, 4 << 16)), None, "may be larger");
        assert_eq!(found(host(0x1_0000, 1 << 16)), None, "as declared");
        let smaller = HostFact::MemoryBytes(2 << 16);
        assert_eq!(found(host(0x1_0000, 2 << 16)), Some(smaller));
        let value = HostFact::GlobalValue(Value::I32(8));
        assert_eq!(found(host(8, 3 << 16)), Some(value));
    }

    /// Regression: an artifact that assumes that one of the two is zeroed was accepted.
    #[test]
    fn a_memory_that_is_imported_twice_has_no_image() {
        let text = |second: &str| {
            let text = format!(
                r#"(module (import "e" "m" (memory 1)) (import "e" "{second}" (memory 1))
                (data (memory 1) (i32.const 8) "X") (data (memory 0) (i32.const 8) "Y"))"#
            );
            wat::parse_str(text).expect("well formed")
        };
        let (distinct, same) = (text("n"), text("m"));
        let module = Module::parse(&distinct).expect("valid");
        let policy = Policy::default()
            .with_zeroed_imports(true)
            .with_max_image_size(4096);
        let plan = Plan::new(&module, &policy);
        let built = ModuleImage::build(&module, &plan).expect("small");
        let bytes = built.encode().expect("small");
        let artifact = Artifact::decode(&bytes).expect("just encoded");
        assert_eq!(artifact.assumptions().count(), 1, "the other is replayed");
        let hash = SourceHash([0; 32]);
        verify(module, hash, &artifact).expect("its own");
        let memory = MemoryIndex::from_u32(0);
        let same = Module::parse(&same).expect("valid");
        assert_eq!(
            verify(same, hash, &artifact),
            Err(Finding::ImportedTwice { memory })
        );
    }
}
