//! A packed module, and the size of its data.

use alloc::vec::Vec;

use super::error::RewriteError;
use super::section::{id, sections};

/// A packed module, and the sizes before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The module.
    pub wasm: Vec<u8>,
    /// The size of its data before.
    pub before: DataSize,
    /// The size of its data now; the same as before if nothing was gained.
    pub after: DataSize,
    /// Whether anything was gained. If not, the module is the input.
    pub is_changed: bool,
}

/// The size of a module's data section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSize {
    /// Segments, active and passive.
    pub segments: usize,
    /// Length of the section's contents in bytes.
    pub bytes: usize,
}

/// Returns the size of the data section in a rewritten module.
pub(super) fn size_of(wasm: &[u8]) -> Result<DataSize, RewriteError> {
    for section in sections(wasm) {
        let section = section?;
        if section.id == id::DATA {
            let count = section.reader().read_var_u32();
            return Ok(DataSize {
                segments: usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX),
                bytes: section.contents.len(),
            });
        }
    }
    Ok(DataSize {
        segments: 0,
        bytes: 0,
    })
}
