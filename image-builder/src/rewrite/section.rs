//! The sections of a binary, to be copied verbatim or replaced.

use alloc::vec::Vec;

use wasm_encoder::Encode;
use wasm_meminit_analysis::wasmparser::{BinaryReader, FromReader, SectionLimited};

use super::error::{RewriteError, malformed};
use crate::length::len_u64;

/// Length of the preamble before the first section: magic, version and layer.
pub(super) const PREAMBLE: usize = 8;

/// Ids of the sections that a rewrite inspects (core specification, "Modules").
pub(super) mod id {
    pub(in super::super) const CUSTOM: u8 = 0;
    pub(in super::super) const TYPE: u8 = 1;
    pub(in super::super) const IMPORT: u8 = 2;
    pub(in super::super) const FUNCTION: u8 = 3;
    pub(in super::super) const TABLE: u8 = 4;
    pub(in super::super) const MEMORY: u8 = 5;
    pub(in super::super) const GLOBAL: u8 = 6;
    pub(in super::super) const EXPORT: u8 = 7;
    pub(in super::super) const CODE: u8 = 10;
    pub(in super::super) const DATA: u8 = 11;
    pub(in super::super) const DATA_COUNT: u8 = 12;
    pub(in super::super) const TAG: u8 = 13;
}

/// The code of a memory in an import or export (core specification, "Import Section", "Export
/// Section").
pub(super) const EXTERN_MEMORY: u8 = 2;

/// One section of a module or component.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) id: u8,
    /// Id, size and contents.
    pub(super) whole: &'a [u8],
    pub(super) contents: &'a [u8],
    /// The offset of the contents from the start of the module.
    pub(super) offset: u64,
}

impl<'a> Section<'a> {
    /// Returns a reader of the contents that reports errors with offsets in the module.
    pub(super) fn reader(&self) -> BinaryReader<'a> {
        BinaryReader::new(self.contents, self.offset)
    }

    /// Returns how many bytes its size takes: all but the id and the contents.
    pub(super) fn size_width(&self) -> usize {
        let header = self.whole.len().saturating_sub(self.contents.len());
        header.saturating_sub(1)
    }

    /// Returns whether it contains symbols or relocations for a linker (tool conventions, "Object
    /// Files").
    pub(super) fn is_for_linker(&self) -> bool {
        let name = self.name().unwrap_or_default();
        name == "linking" || name.starts_with("reloc.")
    }

    /// Returns the name of a custom section.
    pub(super) fn name(&self) -> Option<&'a str> {
        (self.id == id::CUSTOM).then_some(())?;
        self.reader().read_string().ok()
    }
}

/// Returns all sections in order, ending after the first error.
pub(super) fn sections(wasm: &[u8]) -> impl Iterator<Item = Result<Section<'_>, RewriteError>> {
    let mut reader = BinaryReader::new(wasm, 0);
    let mut failed = reader.read_bytes(PREAMBLE).is_err();
    core::iter::from_fn(move || {
        if failed || reader.eof() {
            return None;
        }
        let section = next(wasm, &mut reader);
        failed = section.is_err();
        Some(section)
    })
}

fn next<'a>(wasm: &'a [u8], reader: &mut BinaryReader<'a>) -> Result<Section<'a>, RewriteError> {
    let start = reader.original_position();
    let mut read = || {
        let id = reader.read_u8()?;
        let size = reader.read_var_u32()?;
        let offset = reader.original_position();
        let contents = reader.read_bytes(usize::try_from(size).unwrap_or(usize::MAX))?;
        Ok((id, offset, contents))
    };
    let (id, offset, contents) = read().map_err(|err| malformed(&err))?;
    let whole = usize::try_from(start)
        .ok()
        .and_then(|start| wasm.get(start..))
        .and_then(|rest| rest.get(..rest.len().saturating_sub(reader.bytes_remaining())))
        // Never fails: the reader has just read these bytes.
        .ok_or(RewriteError::Malformed { offset: start })?;
    Ok(Section {
        id,
        whole,
        contents,
        offset,
    })
}

/// Returns the encoding of each item of a section.
pub(super) fn items<'a, T: FromReader<'a>>(
    section: &Section<'a>,
    reader: SectionLimited<'a, T>,
) -> Result<Vec<&'a [u8]>, RewriteError> {
    let mut items = Vec::new();
    let mut reader = reader.into_iter();
    loop {
        let start = reader.original_position();
        let Some(item) = reader.next() else {
            return Ok(items);
        };
        item.map_err(|err| malformed(&err))?;
        let end = reader.original_position();
        let part = |at: u64| usize::try_from(at.checked_sub(section.offset)?).ok();
        let bytes = part(start)
            .zip(part(end))
            .and_then(|(start, end)| section.contents.get(start..end));
        items.push(bytes.ok_or(RewriteError::Malformed { offset: start })?);
    }
}

/// The items of a section that is written anew: how many, and their encoding.
#[derive(Default)]
pub(super) struct ItemList {
    n: u32,
    bytes: Vec<u8>,
}

impl ItemList {
    pub(super) const fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Appends an item, which `encode` appends to the bytes.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), RewriteError> {
        self.n = self.n.checked_add(1).ok_or(RewriteError::TooLarge)?;
        encode(&mut self.bytes);
        Ok(())
    }

    /// Appends all items of a section, if there is one.
    pub(super) fn append(&mut self, section: Option<Section<'_>>) -> Result<(), RewriteError> {
        let Some(section) = section else {
            return Ok(());
        };
        let mut reader = section.reader();
        let n = reader.read_var_u32().map_err(|err| malformed(&err))?;
        self.n = self.n.checked_add(n).ok_or(RewriteError::TooLarge)?;
        let items = section.contents.get(reader.current_position()..);
        self.bytes.extend_from_slice(items.unwrap_or_default());
        Ok(())
    }

    /// Returns the contents of the section.
    pub(super) fn contents(&self) -> Vec<u8> {
        let mut contents = Vec::new();
        self.n.encode(&mut contents);
        contents.extend_from_slice(&self.bytes);
        contents
    }
}

/// Maximum length of the contents of a section in bytes: a binary states it in 32 bits.
const MAX_SECTION_LEN: u64 = (1 << 32) - 1;

/// Returns the length of the contents of a section, as the binary states it.
pub(super) fn checked_len(len: usize) -> Result<u32, RewriteError> {
    let len = Some(len_u64(len)).filter(|len| *len <= MAX_SECTION_LEN);
    let len = len.and_then(|len| u32::try_from(len).ok());
    len.ok_or(RewriteError::TooLarge)
}

/// Writes a section with new contents.
pub(super) fn write(out: &mut Vec<u8>, id: u8, contents: &[u8]) -> Result<(), RewriteError> {
    let size = checked_len(contents.len())?;
    out.push(id);
    size.encode(out);
    out.extend_from_slice(contents);
    Ok(())
}

/// Writes a section in place of another with the same id. Its size takes as many bytes as the
/// old one where it fits, so that what follows moves only if the contents have another length.
pub(super) fn replace(
    out: &mut Vec<u8>,
    old: &Section<'_>,
    contents: &[u8],
) -> Result<(), RewriteError> {
    let size = checked_len(contents.len())?;
    out.push(old.id);
    out.extend_from_slice(&padded(size, old.size_width()));
    out.extend_from_slice(contents);
    Ok(())
}

/// Encodes a number as unsigned LEB128, padded to `width` bytes if it is shorter, so that the
/// bytes after it do not move. Padding is allowed (core specification, "Integers").
pub(super) fn padded(value: u32, width: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    let Some(missing) = width.checked_sub(bytes.len()).filter(|n| *n != 0) else {
        return bytes;
    };
    if let Some(last) = bytes.last_mut() {
        *last |= 0x80;
    }
    bytes.resize(bytes.len().saturating_add(missing), 0x80);
    if let Some(last) = bytes.last_mut() {
        *last = 0;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is copied before the check, so that the zeros take no memory.
    #[cfg(all(target_pointer_width = "64", not(miri)))]
    #[test]
    fn a_section_of_4_gib_is_refused() {
        let contents = alloc::vec![0; 1 << 32];
        let mut out = Vec::new();
        let refused = Err(RewriteError::TooLarge);
        assert_eq!(write(&mut out, id::DATA, &contents), refused);
        assert_eq!(out, []);
        assert_eq!(checked_len(contents.len() - 1), Ok(u32::MAX));
    }

    #[test]
    fn padding_keeps_the_value() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX] {
            for width in 0..=5 {
                let bytes = padded(value, width);
                assert!(bytes.len() == width || width < bytes.len() && bytes.len() <= 5);
                let mut reader = BinaryReader::new(&bytes, 0);
                assert_eq!(reader.read_var_u32().unwrap(), value);
                assert!(reader.eof());
            }
        }
    }
}
