//! The module that `build --strip` writes, and whether an artifact names that one.

use wasm_meminit::analysis::{Assumption, MemoryIndex, Module, Plan};
use wasm_meminit::image_builder::Artifact;
use wasm_meminit::image_builder::rewrite::{
    DEFAULT_IMPORT_MODULE, RewriteError, externalize, strip as strip_in_place, strip_renumbered,
};

use crate::input::hash::sha256;
use crate::progress::Progress;

/// Returns the module without the segments that the plan bakes; with an import module, its
/// memories are imported from there.
///
/// # Errors
///
/// The module cannot be rewritten.
pub(super) fn strip(
    module: &Module<'_>,
    plan: &Plan<'_>,
    import_module: Option<&str>,
) -> Result<Vec<u8>, RewriteError> {
    // Strip first: the plan belongs to the module as it was read.
    let stripped = strip_renumbered(module, plan)?;
    match import_module {
        Some(import_module) => externalized(&stripped, import_module),
        None => Ok(stripped),
    }
}

fn externalized(wasm: &[u8], import_module: &str) -> Result<Vec<u8>, RewriteError> {
    // Never an error: this is the module that was parsed before, with fewer segments.
    let module = Module::parse(wasm).map_err(|err| RewriteError::Malformed {
        offset: err.offset(),
    })?;
    let name = |memory: MemoryIndex| format!("memory{}", memory.as_u32());
    externalize(&module, import_module, &name)
}

/// Whether the stripped module that an artifact names, if it names one, is `module` stripped as
/// `build` or a library's user does. The artifact is one that was verified against the module.
pub(super) fn is_as_named(
    module: Module<'_>,
    artifact: &Artifact<'_>,
    import_module: Option<&str>,
    progress: &Progress,
) -> bool {
    let Some(named) = artifact.stripped() else {
        return true;
    };
    let Some(module) = with_assumptions(module, artifact) else {
        return false;
    };
    let plan = Plan::new(&module, &artifact.policy());
    let is_named = |wasm: &[u8]| sha256(wasm, progress) == named;
    let import_module = import_module.unwrap_or(DEFAULT_IMPORT_MODULE);
    [strip_renumbered, strip_in_place].iter().any(|strip| {
        let Ok(stripped) = strip(&module, &plan) else {
            return false;
        };
        is_named(&stripped) || externalized(&stripped, import_module).is_ok_and(|it| is_named(&it))
    })
}

/// Returns the module with the values and sizes that the artifact assumes.
fn with_assumptions<'a>(mut module: Module<'a>, artifact: &Artifact<'_>) -> Option<Module<'a>> {
    for assumption in artifact.assumptions() {
        module = match assumption {
            Assumption::GlobalValue { global, value, .. } => {
                module.with_global(global, value).ok()?
            }
            Assumption::MemorySize { memory, bytes, .. } => {
                module.with_memory_size(memory, bytes).ok()?
            }
            _ => module,
        };
    }
    Some(module)
}
