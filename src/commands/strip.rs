//! The module that `build --strip` writes, and whether an artifact names that one.

use wasm_meminit::analysis::entity::EntityRef;
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
    module: &Module<'_>,
    artifact: &Artifact<'_>,
    import_module: Option<&str>,
    progress: &Progress,
) -> bool {
    let Some(named) = artifact.stripped() else {
        return true;
    };
    let is_named = |wasm: &[u8]| sha256(wasm, progress) == named;
    let import_module = import_module.unwrap_or(DEFAULT_IMPORT_MODULE);
    // A plan may lack a value that the artifact need not assume: one with which a segment always
    // traps, or with which an image is too large.
    plans(module, artifact).any(|(module, plan)| {
        [strip_renumbered, strip_in_place].iter().any(|strip| {
            let Ok(stripped) = strip(&module, &plan) else {
                return false;
            };
            is_named(&stripped)
                || externalized(&stripped, import_module).is_ok_and(|it| is_named(&it))
        })
    })
}

/// Returns the plans that the artifact may be of, the likeliest first: from its assumptions alone,
/// from what the user knows too, and one without images if the artifact has none.
fn plans<'a>(
    module: &Module<'a>,
    artifact: &Artifact<'_>,
) -> impl Iterator<Item = (Module<'a>, Plan<'a>)> {
    let has_run = |nth| {
        artifact
            .image(MemoryIndex::new(nth))
            .is_some_and(|it| !it.layout().is_empty())
    };
    let has_images = (0..artifact.memories().len()).any(has_run);
    let policy = artifact.policy();
    let none = policy.with_max_image_size(0);
    // Whether with what the user knows, and the policy.
    let candidates = [(false, policy), (true, policy), (false, none)];
    let n_candidates = if has_images { 2 } else { 3 };
    let candidates = candidates.into_iter().take(n_candidates);
    candidates.filter_map(|(is_supplied, policy)| {
        let module = match is_supplied {
            true => module.clone(),
            false => module.clone().without_supplied(),
        };
        let module = with_assumptions(module, artifact)?;
        let plan = Plan::new(&module, &policy);
        Some((module, plan))
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
