//! Finds the data segment indices in function bodies, and replaces them in place.
//!
//! Four instructions name a data segment: `memory.init`, `data.drop`, `array.new_data` and
//! `array.init_data`. A module that uses one must have a data count section.

use alloc::vec::Vec;
use core::ops::Range;

use wasm_meminit_analysis::wasmparser::{BinaryReader, CodeSectionReader, Error, Operator};

use super::error::{RewriteError, malformed};
use super::section::{Section, padded};

/// The use of a data segment's index in a function body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataUse {
    pub(super) segment: u32,
    /// The byte range of the index in the contents of the code section.
    pub(super) at: Range<usize>,
}

/// Returns every use of a data segment in the code section, in order.
pub(super) fn data_uses(code: &Section<'_>) -> Result<Vec<DataUse>, RewriteError> {
    let read = || {
        let mut uses = Vec::new();
        for body in CodeSectionReader::new(code.reader())? {
            let mut operators = body?.get_operators_reader()?;
            while !operators.eof() {
                let at = operators.original_position();
                if let Operator::MemoryInit { .. }
                | Operator::DataDrop { .. }
                | Operator::ArrayNewData { .. }
                | Operator::ArrayInitData { .. } = operators.read()?
                {
                    uses.push(data_use(code, at)?);
                }
            }
        }
        Ok(uses)
    };
    read().map_err(|err: Error| malformed(&err))
}

/// Parses the use in the instruction at that offset of the module.
fn data_use(code: &Section<'_>, at: u64) -> Result<DataUse, Error> {
    let skip = usize::try_from(at.saturating_sub(code.offset)).unwrap_or(usize::MAX);
    let rest = code.contents.get(skip..).unwrap_or_default();
    let mut reader = BinaryReader::new(rest, at);
    let prefix = reader.read_u8()?;
    reader.read_var_u32()?;
    if prefix == 0xfb {
        reader.read_var_u32()?; // the array's type comes first
    }
    let start = skip.saturating_add(reader.current_position());
    let segment = reader.read_var_u32()?;
    let end = skip.saturating_add(reader.current_position());
    Ok(DataUse {
        segment,
        at: start..end,
    })
}

/// Returns the contents of the code section with new indices, each in as many bytes as the
/// one it replaces. `None` if one does not fit or does not exist.
pub(super) fn renumbered(
    code: &[u8],
    uses: &[DataUse],
    new_index: &dyn Fn(u32) -> Option<u32>,
) -> Option<Vec<u8>> {
    let mut code = code.to_vec();
    for it in uses {
        let bytes = padded(new_index(it.segment)?, it.at.len());
        let place = code.get_mut(it.at.clone())?;
        if place.len() != bytes.len() {
            return None;
        }
        place.copy_from_slice(&bytes);
    }
    Some(code)
}
