//! Decodes the contents of a section that is one vector.

use crate::read::error::ParseErrorKind;
use crate::reader::Reader;
use crate::{ModuleBuilder, ParseError};

impl<'a> ModuleBuilder<'a> {
    /// Decodes a vector that ends with the section, at offset `end` of the input. Core
    /// specification, "Vectors".
    ///
    /// `reserve` is called once, with the number of elements, or with as many elements of
    /// `element_bytes` as fit, if that is less; `element` for each element.
    pub(crate) fn vector(
        &mut self,
        bytes: &'a [u8],
        end: u64,
        element_bytes: usize,
        reserve: impl FnOnce(&mut Self, usize),
        element: impl Fn(&mut Self, &mut Reader<'a>) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        let mut reader = Reader::new(bytes);
        let at = |reader: &Reader<'_>| end.saturating_sub(crate::address::len(reader.rest()));
        self.offset = at(&reader);
        let Some(count) = reader.var_u32() else {
            return self.fail(ParseErrorKind::Malformed);
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        reserve(
            self,
            count.min(bytes.len().checked_div(element_bytes).unwrap_or(0)),
        );
        for _ in 0..count {
            self.offset = at(&reader);
            element(self, &mut reader)?;
        }
        self.offset = at(&reader);
        if reader.rest().is_empty() {
            Ok(())
        } else {
            self.fail(ParseErrorKind::Malformed)
        }
    }
}
