//! Information about a module that rewriting needs beyond the analysis.

use alloc::vec::Vec;

use wasm_meminit_analysis::Module;
use wasm_meminit_analysis::wasmparser::DataSectionReader;

use super::code::{DataUse, data_uses};
use super::error::{RewriteError, malformed};
use super::section::{PREAMBLE, Section, id, sections};

/// A module's bytes, and the positions of its parts.
pub(super) struct Original<'a> {
    pub(super) wasm: &'a [u8],
    /// The encoding of each data segment, in order.
    pub(super) segments: Vec<&'a [u8]>,
    /// Length of the contents of the data section; 0 if there is none.
    pub(super) data_bytes: usize,
    /// Where function bodies name data segments. Without a data count section, none can, and
    /// the code is not read.
    pub(super) uses: Vec<DataUse>,
    /// The offset where a data section may be inserted: after the last non-custom section.
    pub(super) data_end: usize,
    /// Whether the module is an object file, with symbols or relocations for a linker.
    pub(super) is_relocatable: bool,
}

impl<'a> Original<'a> {
    pub(super) fn read(module: &Module<'a>) -> Result<Self, RewriteError> {
        let wasm = module.binary().ok_or(RewriteError::NoBinary)?;
        let mut original = Self {
            wasm,
            segments: Vec::new(),
            data_bytes: 0,
            uses: Vec::new(),
            data_end: PREAMBLE,
            is_relocatable: false,
        };
        let mut end = PREAMBLE;
        for section in sections(wasm) {
            let section = section?;
            end = end.saturating_add(section.whole.len());
            if section.id != id::CUSTOM {
                original.data_end = end;
            }
            match section.id {
                id::DATA => original.data_section(&section)?,
                id::CODE if module.data_count().is_some() => {
                    original.uses = data_uses(&section)?;
                }
                id::CUSTOM => {
                    original.is_relocatable |= section.is_for_linker();
                }
                _ => {}
            }
        }
        if original.segments.len() == module.segments().len() {
            Ok(original)
        } else {
            // Never reached: the module was parsed from the same bytes.
            Err(RewriteError::Malformed { offset: 0 })
        }
    }

    /// Returns whether a function body names one of these segments.
    pub(super) fn names_any(&self, is_wanted: &[bool]) -> bool {
        debug_assert_eq!(self.segments.len(), is_wanted.len());
        self.uses.iter().any(|it| {
            let nth = usize::try_from(it.segment).unwrap_or(usize::MAX);
            is_wanted.get(nth).copied().unwrap_or(false)
        })
    }

    fn data_section(&mut self, section: &Section<'a>) -> Result<(), RewriteError> {
        self.data_bytes = section.contents.len();
        let segments = DataSectionReader::new(section.reader()).map_err(|err| malformed(&err))?;
        for segment in segments {
            let range = segment.map_err(|err| malformed(&err))?.range;
            let part = |at: u64| usize::try_from(at.checked_sub(section.offset)?).ok();
            let bytes = part(range.start)
                .zip(part(range.end))
                .and_then(|(start, end)| section.contents.get(start..end));
            let offset = range.start;
            self.segments
                .push(bytes.ok_or(RewriteError::Malformed { offset })?);
        }
        Ok(())
    }
}
