//! The name section's data segment names, for segments that have moved.

use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::wasmparser::{BinaryReader, Error};

/// The subsection of data segment names (core specification, appendix "Custom
/// Sections", with the extended-name-section proposal).
const DATA_NAMES: u8 = 9;

/// The contents of a name section with the names of data segments renumbered; those
/// of segments that are no more are left out.
///
/// `None` for one that is malformed: nobody can read it, so it may stay as it is.
pub(super) fn renumbered(
    mut reader: BinaryReader<'_>,
    new_index: &dyn Fn(u32) -> Option<u32>,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    reader.read_string().ok()?.encode(&mut out);
    while !reader.eof() {
        let id = reader.read_u8().ok()?;
        let contents = reader.read_reader().ok()?;
        let contents = match id {
            DATA_NAMES => match name_map(contents, new_index).ok()? {
                Some(names) => names,
                None => continue,
            },
            _ => {
                let mut contents = contents;
                contents
                    .read_bytes(contents.bytes_remaining())
                    .ok()?
                    .to_vec()
            }
        };
        out.push(id);
        u32::try_from(contents.len()).ok()?.encode(&mut out);
        out.extend_from_slice(&contents);
    }
    Some(out)
}

fn name_map(
    mut reader: BinaryReader<'_>,
    new_index: &dyn Fn(u32) -> Option<u32>,
) -> Result<Option<Vec<u8>>, Error> {
    let mut names = Vec::new();
    for _ in 0..reader.read_var_u32()? {
        let index = reader.read_var_u32()?;
        let name = reader.read_string()?;
        if let Some(index) = new_index(index) {
            names.push((index, name));
        }
    }
    // Name maps are in index order, each index once.
    names.sort_by_key(|(index, _)| *index);
    let Ok(count) = u32::try_from(names.len()) else {
        return Ok(None);
    };
    if count == 0 {
        return Ok(None);
    }
    let mut out = Vec::new();
    count.encode(&mut out);
    for (index, name) in names {
        index.encode(&mut out);
        name.encode(&mut out);
    }
    Ok(Some(out))
}
