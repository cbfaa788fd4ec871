//! Compares everything except bytes: the memories, the assumptions, whether element segments
//! may trap, and single segments of the replay list.

use wasm_meminit_analysis::{MemoryInitializer, Module, OffsetExpr, ResolvedOffset};

use super::assume::{Assumed, assume};
use super::finding::Finding;
use crate::Artifact;

/// Which module an artifact is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Source,
    /// Without what is in the image. It may import the memories that the source module defines.
    Stripped,
}

/// Returns the module with the values and sizes that the artifact assumes, and no others: what
/// the user knows about the host is compared with these, and proves nothing for other hosts.
///
/// # Errors
///
/// A finding if memories, assumptions or the flag for element segments differ.
pub(super) fn same_head<'a>(
    module: Module<'a>,
    artifact: &Artifact<'_>,
    which: Which,
) -> Result<(Module<'a>, Assumed), Finding> {
    if module.memories().len() != artifact.memories().len() {
        return Err(Finding::MemoryCount {
            expected: module.memories().len(),
            found: artifact.memories().len(),
        });
    }
    assume(module.clone(), artifact)?;
    let (module, assumed) = assume(module.without_supplied(), artifact)?;
    // All of them are imported, or none that the source module defines.
    let is_external = module.memories().values().all(|it| it.import.is_some());
    same_types(&module, artifact, &assumed, |ours, theirs| {
        ours == theirs || (which == Which::Stripped && ours && is_external)
    })?;
    let expected = module.elements_may_trap();
    if expected != artifact.elements_may_trap() {
        return Err(Finding::ElementsMayTrap { expected });
    }
    Ok((module, assumed))
}

/// Whether a segment of the replay list equals the module's. Its address may be a different
/// expression with the same value, or one in which globals of the module are resolved.
pub(super) fn same_segment(
    module: &Module<'_>,
    theirs: &MemoryInitializer<'_>,
    ours: &MemoryInitializer<'_>,
) -> bool {
    if theirs.memory_index != ours.memory_index || theirs.data != ours.data {
        return false;
    }
    let Some(memory) = module.memories().get(ours.memory_index) else {
        return false;
    };
    let index_type = memory.ty.index_type;
    let known = |global| module.global_value(global);
    let (theirs, ours) = (&theirs.offset, &ours.offset);
    match (
        theirs.eval(index_type, &known),
        ours.eval(index_type, &known),
    ) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ if theirs == ours => true,
        // What is resolved to a constant has a value, and was compared above.
        _ => match (module.resolve_offset(ours), theirs) {
            (Some(ResolvedOffset::Expr(expr)), OffsetExpr::Expr(theirs)) => {
                theirs.as_bytes() == expr
            }
            _ => false,
        },
    }
}

/// Compares the memory types. An artifact stores an assumed size as part of the type.
/// `are_same` takes whether a memory is imported, by the module and by the artifact.
fn same_types(
    module: &Module<'_>,
    artifact: &Artifact<'_>,
    assumed: &Assumed,
    are_same: impl Fn(bool, bool) -> bool,
) -> Result<(), Finding> {
    for ((memory, ours), theirs) in module.memories().iter().zip(artifact.memories()) {
        let mut ty = ours.ty;
        if let Some(bytes) = assumed.sizes.get(&memory) {
            // A page has 1 or 65,536 bytes, so the division always has a result.
            ty.min = bytes.checked_div(ty.page_size.bytes()).unwrap_or(*bytes);
        }
        if ty != theirs.ty() || !are_same(ours.import.is_some(), theirs.is_imported()) {
            return Err(Finding::MemoryType { memory });
        }
    }
    Ok(())
}
