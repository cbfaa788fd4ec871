//! Removes the bytes from a module that an image already contains.

use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::{Module, Plan, SegmentMode};

use super::assemble::Assembly;
use super::data::Target;
use super::error::RewriteError;
use super::original::Original;
use super::section::{PREAMBLE, id, sections, write};
use super::start;

/// Replaces the segments that `plan` bakes with empty ones, so that an engine that starts
/// from the image does not write them again.
///
/// All indices are kept: a baked segment becomes `(data (i32.const 0) "")` (or `i64.const`),
/// which is in bounds of any memory and is dropped after it is applied, as the original would
/// be. Everything but the data section is unchanged, byte for byte. Use [`strip_renumbered`]
/// for engines that would spend time on thousands of empty segments.
///
/// If an element segment may trap and function bodies name a baked segment, nothing is
/// stripped, because a leaked function could observe the difference. The result is correct
/// but saves nothing.
///
/// With [`StartFunction::WritesStripped`](wasm_meminit_analysis::StartFunction::WritesStripped), the
/// writes of a threaded module's start function are stripped too; no code moves.
///
/// # Errors
///
/// [`RewriteError`] if the module was not parsed from bytes, if its function bodies cannot be
/// parsed (only those of modules with a data count section are), or if the plan was made for
/// another module; and [`RewriteError::Relocatable`] for an object file with baked segments,
/// whose relocations would patch bytes that no longer exist.
pub fn strip(module: &Module<'_>, plan: &Plan<'_>) -> Result<Vec<u8>, RewriteError> {
    with_start_stripped(module, plan, strip_active)
}

/// Strips the start function's writes, if the plan bakes them for that, then calls `rest`.
fn with_start_stripped(
    module: &Module<'_>,
    plan: &Plan<'_>,
    rest: fn(&Module<'_>, &Plan<'_>) -> Result<Vec<u8>, RewriteError>,
) -> Result<Vec<u8>, RewriteError> {
    if !plan.matches(module) {
        return Err(RewriteError::WrongPlan);
    }
    let Some(wasm) = start::stripped(module, plan)? else {
        return rest(module, plan);
    };
    // Never fails: the parser has read the same module with other lengths.
    let stripped = Module::parse(&wasm).map_err(|err| RewriteError::Malformed {
        offset: err.offset(),
    })?;
    rest(&stripped, plan)
}

fn strip_active(module: &Module<'_>, plan: &Plan<'_>) -> Result<Vec<u8>, RewriteError> {
    let original = Original::read(module)?;
    let is_baked = baked(module, plan)?;
    if original.is_relocatable && is_baked.contains(&true) {
        return Err(RewriteError::Relocatable);
    }
    if original.names_any(&is_baked) && module.elements_may_trap() {
        return Ok(original.wasm.to_vec());
    }
    let data = data_section(module, &original, &is_baked)?;
    with_data(&original, &data)
}

/// Removes the segments that `plan` bakes. The remaining segments are renumbered, and the
/// data count section, function bodies and names are updated.
///
/// Where a function body names a baked segment, an empty passive segment replaces it.
///
/// # Errors
///
/// The same as [`strip`]; and [`RewriteError::Relocatable`] for any object file.
pub fn strip_renumbered(module: &Module<'_>, plan: &Plan<'_>) -> Result<Vec<u8>, RewriteError> {
    with_start_stripped(module, plan, strip_active_renumbered)
}

fn strip_active_renumbered(module: &Module<'_>, plan: &Plan<'_>) -> Result<Vec<u8>, RewriteError> {
    let original = Original::read(module)?;
    if original.is_relocatable {
        return Err(RewriteError::Relocatable);
    }
    let is_baked = baked(module, plan)?;
    if original.names_any(&is_baked) && module.elements_may_trap() {
        return Ok(original.wasm.to_vec());
    }
    let assembly = Assembly::new(&original, module, &is_baked);
    match assembly.finish(&[], &[], None)? {
        Some(wasm) => Ok(wasm),
        // A larger index does not fit in a function body.
        None => with_data(&original, &data_section(module, &original, &is_baked)?),
    }
}

/// Replaces the contents of the data section.
fn with_data(original: &Original<'_>, data: &[u8]) -> Result<Vec<u8>, RewriteError> {
    let mut out = Vec::with_capacity(original.wasm.len());
    out.extend_from_slice(original.wasm.get(..PREAMBLE).unwrap_or_default());
    for section in sections(original.wasm) {
        let section = section?;
        match section.id {
            id::DATA => write(&mut out, id::DATA, data)?,
            _ => out.extend_from_slice(section.whole),
        }
    }
    Ok(out)
}

/// Returns, for each segment, whether the plan bakes it.
fn baked(module: &Module<'_>, plan: &Plan<'_>) -> Result<Vec<bool>, RewriteError> {
    let mut replayed = plan.replay().iter().peekable();
    let mut n_baked = 0_u64;
    let mut is_baked = Vec::with_capacity(module.segments().len());
    for (index, segment) in module.segments() {
        let is_active = matches!(segment.mode, SegmentMode::Active { .. });
        let is_replayed = replayed
            .next_if(|it| it.segment == index && it.data == segment.data)
            .is_some();
        if is_replayed && !is_active {
            return Err(RewriteError::WrongPlan);
        }
        n_baked = n_baked.saturating_add(u64::from(is_active && !is_replayed));
        is_baked.push(is_active && !is_replayed);
    }
    let planned = plan.memories().values().map(|it| it.n_baked());
    let planned = planned.fold(0, u64::saturating_add);
    let is_of_module = replayed.next().is_none()
        && planned == n_baked
        && plan.memories().len() == module.memories().len();
    is_of_module
        .then_some(is_baked)
        .ok_or(RewriteError::WrongPlan)
}

fn data_section(
    module: &Module<'_>,
    original: &Original<'_>,
    is_baked: &[bool],
) -> Result<Vec<u8>, RewriteError> {
    let mut data = Vec::new();
    let count = u32::try_from(is_baked.len()).map_err(|_| RewriteError::TooLarge)?;
    count.encode(&mut data);
    let segments = module.segments().values().zip(&original.segments);
    for ((segment, bytes), is_baked) in segments.zip(is_baked) {
        match segment.mode {
            SegmentMode::Active { memory_index, .. } if *is_baked => {
                let memory = module.memories().get(memory_index);
                let target = Target {
                    memory: memory_index,
                    index_type: memory.ok_or(RewriteError::WrongPlan)?.ty.index_type,
                };
                target.write_empty(&mut data);
            }
            _ => data.extend_from_slice(bytes),
        }
    }
    Ok(data)
}
