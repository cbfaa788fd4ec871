//! Strips the writes of a threaded module's start function.
//!
//! Each length operand becomes a zero of the same encoded length, so that no other byte of
//! the code moves. The function still claims the flag, sets the first thread's globals,
//! wakes the other threads and drops the segments.

use alloc::vec::Vec;
use core::ops::Range;

use wasm_encoder::Encode;
use wasm_meminit_analysis::wasmparser::CodeSectionReader;
use wasm_meminit_analysis::{Module, Plan, StartFunction, StartInit};

use super::data::EMPTY_PASSIVE;
use super::error::{RewriteError, malformed};
use super::original::Original;
use super::section::{PREAMBLE, Section, id, sections, write};

/// Returns the module with its start function's writes stripped. `None` if the plan does not
/// bake them for that, or if a function leaked by a trapping element segment could observe
/// the difference.
///
/// Segments that no other function names are stripped too.
pub(super) fn stripped(
    module: &Module<'_>,
    plan: &Plan<'_>,
) -> Result<Option<Vec<u8>>, RewriteError> {
    let (StartFunction::WritesStripped, Ok(start)) = (plan.start_function(), plan.start()) else {
        return Ok(None);
    };
    if module.elements_may_trap() {
        return Ok(None);
    }
    let original = Original::read(module)?;
    let mut body = 0..0;
    let mut out = Vec::with_capacity(original.wasm.len());
    out.extend_from_slice(original.wasm.get(..PREAMBLE).unwrap_or_default());
    for section in sections(original.wasm) {
        let section = section?;
        match section.id {
            id::CODE => {
                body = body_of(&section, module, start)?;
                let at = out
                    .len()
                    .saturating_add(section.whole.len().saturating_sub(section.contents.len()));
                out.extend_from_slice(section.whole);
                let code = out.get_mut(at..).and_then(|it| it.get_mut(body.clone()));
                write_zeros(code.ok_or(RewriteError::WrongPlan)?, start)?;
            }
            id::DATA => write(&mut out, id::DATA, &data(&original, start, &body)?)?,
            _ => out.extend_from_slice(section.whole),
        }
    }
    Ok(Some(out))
}

/// Returns the range of the function's body in the contents of the code section.
fn body_of(
    code: &Section<'_>,
    module: &Module<'_>,
    start: &StartInit,
) -> Result<Range<usize>, RewriteError> {
    let nth = start
        .function()
        .as_u32()
        .checked_sub(module.n_imported_functions())
        .and_then(|nth| usize::try_from(nth).ok())
        .ok_or(RewriteError::WrongPlan)?;
    let mut bodies = CodeSectionReader::new(code.reader())
        .map_err(|err| malformed(&err))?
        .into_iter();
    let body = bodies.nth(nth).ok_or(RewriteError::WrongPlan)?;
    let range = body.map_err(|err| malformed(&err))?.range();
    let position = |at: u64| usize::try_from(at.saturating_sub(code.offset)).unwrap_or(usize::MAX);
    Ok(position(range.start)..position(range.end))
}

/// Replaces each length with 0, encoded as padded LEB128.
fn write_zeros(body: &mut [u8], start: &StartInit) -> Result<(), RewriteError> {
    for at in start.lengths() {
        let length = body.get_mut(at.clone()).ok_or(RewriteError::WrongPlan)?;
        let Some((last, before)) = length.split_last_mut() else {
            return Err(RewriteError::WrongPlan);
        };
        before.fill(0x80);
        *last = 0;
    }
    Ok(())
}

/// Returns the data section with those segments emptied that only the start function writes.
fn data(
    original: &Original<'_>,
    start: &StartInit,
    body: &Range<usize>,
) -> Result<Vec<u8>, RewriteError> {
    let position = |segment: u32| usize::try_from(segment).unwrap_or(usize::MAX);
    let mut is_removed = alloc::vec![false; original.segments.len()];
    for (segment, _) in start.writes() {
        let is_removed = is_removed.get_mut(position(segment.as_u32()));
        *is_removed.ok_or(RewriteError::WrongPlan)? = true;
    }
    // One pass over all uses: there may be as many as segments.
    for it in &original.uses {
        if let Some(is_removed) = is_removed.get_mut(position(it.segment))
            && !body.contains(&it.at.start)
        {
            *is_removed = false;
        }
    }
    let mut data = Vec::new();
    let count = u32::try_from(is_removed.len()).map_err(|_| RewriteError::TooLarge)?;
    count.encode(&mut data);
    for (bytes, is_removed) in original.segments.iter().zip(is_removed) {
        data.extend_from_slice(if is_removed { EMPTY_PASSIVE } else { bytes });
    }
    Ok(data)
}
