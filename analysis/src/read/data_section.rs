//! Decodes the data section from its bytes.
//!
//! The section may contain up to 100,000 segments, and a general parser of constant
//! expressions takes several times as long as needed here, so this module decodes the
//! section itself. A section that an engine passes as a payload is read with wasmparser;
//! tests check that both give the same module.

use crate::read::error::ParseErrorKind;
use crate::reader::Reader;
use crate::{ModuleBuilder, OffsetExpr, ParseError};

/// Typical segments are longer; for shorter ones, the list grows.
const TYPICAL_BYTES: usize = 16;

impl<'a> ModuleBuilder<'a> {
    /// Decodes the contents of a data section, which end at offset `end` of the input. Core
    /// specification, "Data Section".
    pub(crate) fn data_section_bytes(
        &mut self,
        bytes: &'a [u8],
        end: u64,
    ) -> Result<(), ParseError> {
        let reserve = |builder: &mut Self, n: usize| builder.module.segments.reserve(n);
        self.vector(bytes, end, TYPICAL_BYTES, reserve, Self::data_segment)
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
