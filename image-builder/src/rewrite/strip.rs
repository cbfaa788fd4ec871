//! The same module without the bytes that an image already holds.

use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::{Module, Plan, SegmentMode};

use super::assemble::Assembly;
use super::data::Target;
use super::error::RewriteError;
use super::original::Original;
use super::pack::names_what_goes;
use super::section::{PREAMBLE, id, sections, write};
use super::start;

/// The same module with the segments that `plan` bakes emptied: an engine that starts
/// from their image writes nothing twice.
///
/// Every index stays: an emptied segment is `(data (i32.const 0) "")` (or `i64.const`),
/// which is in bounds of any memory, and dropped when it was applied, as the full one
/// would be. Everything but the data section is byte for byte the same.
/// [`strip_renumbered`] is for engines that would spend time on thousands of them.
///
/// Where an element segment may trap and function bodies name a baked segment, nothing
/// is emptied, which is as right and saves nothing: a leaked function could see the
/// difference.
///
/// With [`StartFunction::Emptied`](wasm_meminit_analysis::StartFunction::Emptied), the
/// start function of a threaded module does not write what is baked either; its code
/// keeps every position.
///
/// # Errors
///
/// [`RewriteError`] for a module that was not read from bytes, whose function bodies
/// cannot be read (looked at only where they may name data segments), or for another
/// module's plan.
pub fn strip(module: &Module<'_>, plan: &Plan<'_>) -> Result<Vec<u8>, RewriteError> {
    with_start_emptied(module, plan, strip_active)
}

/// Does the rest with the module whose start function has nothing to write, if there is
/// one.
fn with_start_emptied(
    module: &Module<'_>,
    plan: &Plan<'_>,
    rest: fn(&Module<'_>, &Plan<'_>) -> Result<Vec<u8>, RewriteError>,
) -> Result<Vec<u8>, RewriteError> {
    if !plan.matches(module) {
        return Err(RewriteError::WrongPlan);
    }
    let Some(wasm) = start::emptied(module, plan)? else {
        return rest(module, plan);
    };
    // Never an error: it is what the parser has read, with other lengths.
    let emptied = Module::parse(&wasm).map_err(|err| RewriteError::Malformed {
        offset: err.offset(),
    })?;
    rest(&emptied, plan)
}

fn strip_active(module: &Module<'_>, plan: &Plan<'_>) -> Result<Vec<u8>, RewriteError> {
    let original = Original::read(module)?;
    let is_baked = baked(module, plan)?;
    if names_what_goes(module, &original, &is_baked) && module.elements_may_trap() {
        return Ok(original.wasm.to_vec());
    }
    let data = data_section(module, &original, &is_baked)?;
    with_data(&original, &data)
}

/// The same as [`strip`], without the emptied segments: those that are left change their
/// indices, and the data count section, function bodies and names follow.
///
/// To a function body that names a baked segment, an empty passive one stands for it.
///
/// # Errors
///
/// As for [`strip`], and [`RewriteError::Relocatable`] for an object file.
pub fn strip_renumbered(module: &Module<'_>, plan: &Plan<'_>) -> Result<Vec<u8>, RewriteError> {
    with_start_emptied(module, plan, strip_active_renumbered)
}

fn strip_active_renumbered(module: &Module<'_>, plan: &Plan<'_>) -> Result<Vec<u8>, RewriteError> {
    let original = Original::read(module)?;
    if original.is_relocatable {
        return Err(RewriteError::Relocatable);
    }
    let is_baked = baked(module, plan)?;
    if names_what_goes(module, &original, &is_baked) && module.elements_may_trap() {
        return Ok(original.wasm.to_vec());
    }
    let assembly = Assembly::new(&original, module, &is_baked);
    match assembly.finish(&[], &[], None)? {
        Some(wasm) => Ok(wasm),
        // Where a function body has no room for an index that has risen.
        None => with_data(&original, &data_section(module, &original, &is_baked)?),
    }
}

/// The module with other contents of its data section.
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

/// For each segment, whether the plan has it in an image.
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
