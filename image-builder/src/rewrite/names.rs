//! Renumbers the data segment names in the name section.

use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::wasmparser::{BinaryReader, Error};

/// The subsection of data segment names (core specification, appendix "Custom
/// Sections", with the extended-name-section proposal).
const DATA_NAMES: u8 = 9;

/// Returns the contents of a name section with the names of data segments renumbered. Names
/// of removed segments are omitted.
///
/// Everything from the first malformed subsection on is omitted too: a more lenient reader
/// would find stale names there.
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
            // Malformed names are omitted.
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

/// Reads the id and contents of the next subsection. `None` at the end or if malformed.
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
    // A name map must be in index order, with each index once.
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
