//! Decodes the data section from its bytes.
//!
//! The section may contain up to 100,000 segments, and a general parser of constant
//! expressions takes several times as long as needed here, so this module decodes the
//! section itself. A section that an engine passes as a payload is read with wasmparser;
//! tests check that both give the same module.

use crate::read::error::ParseErrorKind;
use crate::reader::Reader;
use crate::{ModuleBuilder, OffsetExpr, ParseError};

impl<'a> ModuleBuilder<'a> {
    /// Decodes the contents of a data section, which end at offset `end` of the input. Core
    /// specification, "Data Section".
    pub(crate) fn data_section_bytes(
        &mut self,
        bytes: &'a [u8],
        end: u64,
    ) -> Result<(), ParseError> {
        let mut reader = Reader::new(bytes);
        let at = |reader: &Reader<'_>| end.saturating_sub(crate::address::len(reader.rest()));
        self.offset = at(&reader);
        let Some(count) = reader.var_u32() else {
            return self.fail(ParseErrorKind::Malformed);
        };
        // Typical segments are longer than 16 bytes; for shorter ones, the list grows.
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let likely = count.min(bytes.len().checked_div(16).unwrap_or(0));
        self.module.segments.reserve(likely);
        for _ in 0..count {
            self.offset = at(&reader);
            self.data_segment(&mut reader)?;
        }
        self.offset = at(&reader);
        if reader.rest().is_empty() {
            Ok(())
        } else {
            self.fail(ParseErrorKind::Malformed)
        }
    }

    fn data_segment(&mut self, reader: &mut Reader<'a>) -> Result<(), ParseError> {
        let active = match reader.var_u32() {
            Some(0) => Some(0),
            Some(1) => None,
            Some(2) => match reader.var_u32() {
                Some(memory) => Some(memory),
                None => return self.fail(ParseErrorKind::Malformed),
            },
            _ => return self.fail(ParseErrorKind::Malformed),
        };
        let offset = match active {
            None => None,
            Some(memory) => {
                let Ok((offset, rest)) = OffsetExpr::decode(reader.rest()) else {
                    return self.fail(ParseErrorKind::InvalidExpr);
                };
                *reader = Reader::new(rest);
                Some((memory, offset))
            }
        };
        let data = reader
            .var_u32()
            .and_then(|len| usize::try_from(len).ok())
            .and_then(|len| reader.bytes(len));
        match (offset, data) {
            (_, None) => self.fail(ParseErrorKind::Malformed),
            (Some((memory, offset)), Some(data)) => self.active_segment(memory, offset, data),
            (None, Some(data)) => self.passive_segment(data),
        }
    }
}
