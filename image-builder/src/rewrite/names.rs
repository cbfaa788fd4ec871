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
/// What cannot be read is left out too, from where that begins: a reader that gets further
/// than ours would find names of other segments there.
pub(super) fn renumbered(
    mut reader: BinaryReader<'_>,
    new_index: &dyn Fn(u32) -> Option<u32>,
) -> Vec<u8> {
    let mut out = Vec::new();
    if let Ok(name) = reader.read_string() {
        name.encode(&mut out);
    }
    while let Some((id, contents)) = subsection(&mut reader) {
        let contents = match id {
            // Damaged names are no names.
            DATA_NAMES => match name_map(BinaryReader::new(contents, 0), new_index) {
                Ok(Some(names)) => names,
                Ok(None) | Err(_) => continue,
            },
            _ => contents.to_vec(),
        };
        let Ok(len) = u32::try_from(contents.len()) else {
            continue;
        };
        out.push(id);
        len.encode(&mut out);
        out.extend_from_slice(&contents);
    }
    out
}

/// The next subsection's id and contents; `None` at the end, or where none can be read.
fn subsection<'a>(reader: &mut BinaryReader<'a>) -> Option<(u8, &'a [u8])> {
    if reader.eof() {
        return None;
    }
    let id = reader.read_u8().ok()?;
    let mut contents = reader.read_reader().ok()?;
    let contents = contents.read_bytes(contents.bytes_remaining()).ok()?;
    Some((id, contents))
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
