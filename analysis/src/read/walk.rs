//! Walks over the payloads of a binary, with wasmparser as the reader of sections.

use alloc::vec::Vec;
use core::ops::Range;

use wasmparser::{Chunk, Parser, Payload};

use crate::ModuleBuilder;
use crate::read::error::{ParseError, ParseErrorKind};
use crate::reader::Reader;

type Result<T> = core::result::Result<T, ParseError>;

/// The id of the data section.
const DATA_SECTION: u8 = 11;

/// A position in the input, and its byte offset.
#[derive(Clone, Copy)]
pub(crate) struct Position<'a> {
    pub(crate) rest: &'a [u8],
    pub(crate) offset: u64,
}

/// wasmparser's parser over a whole input, skipping code sections.
pub(crate) struct Walk<'a> {
    pub(crate) rest: &'a [u8],
    pub(crate) offset: u64,
    parser: Parser,
    outer: Vec<Parser>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(wasm: &'a [u8]) -> Self {
        Self {
            rest: wasm,
            offset: 0,
            parser: Parser::new(0),
            outer: Vec::new(),
        }
    }

    // Inlined because copying payloads is noticeable for small modules.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Payload<'a>> {
        match self.parser.parse(self.rest, true) {
            Ok(Chunk::Parsed { consumed, payload }) => {
                self.advance(consumed)?;
                Ok(payload)
            }
            // Not expected after the end of input was announced, but not relied on.
            Ok(Chunk::NeedMoreData(_)) => self.truncated(),
            Err(err) => Err(self.unreadable(&err)),
        }
    }

    /// Returns a more specific error for mismatched counts: the parser compares them before
    /// it returns the data section, and reports neither.
    #[cold]
    pub(crate) fn explain(&self, err: ParseError, builder: &ModuleBuilder<'a>) -> ParseError {
        let Some(declared) = builder.module.data_count else {
            return err;
        };
        let mut reader = Reader::new(self.rest);
        let is_data = reader.byte() == Some(DATA_SECTION) && reader.var_u32().is_some();
        let found = match self.rest.is_empty() {
            // There is no data section.
            true => u32::try_from(builder.module.segments.len()).ok(),
            false => reader.var_u32().filter(|_| is_data),
        };
        match found {
            Some(found) if found != declared => {
                ParseError::new(ParseErrorKind::DataCount { declared, found }, self.offset)
            }
            _ => err,
        }
    }

    #[cold]
    fn unreadable(&self, err: &wasmparser::BinaryReaderError) -> ParseError {
        let end = self.offset.saturating_add(crate::address::len(self.rest));
        let kind = if end <= err.offset() {
            ParseErrorKind::Truncated
        } else {
            ParseErrorKind::Malformed
        };
        ParseError::new(kind, err.offset())
    }

    /// Skips the code section whose start was just read, and returns its bytes.
    pub(crate) fn skip_section(&mut self, size: u32) -> Result<&'a [u8]> {
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(section) = self.rest.get(..len) else {
            return self.truncated();
        };
        self.parser.skip_section();
        self.advance(len)?;
        Ok(section)
    }

    /// Returns the position of the next payload.
    pub(crate) const fn position(&self) -> Position<'a> {
        Position {
            rest: self.rest,
            offset: self.offset,
        }
    }

    /// Returns the bytes at `range`, in a section parsed at position `before`.
    pub(crate) fn bytes(&self, before: Position<'a>, range: &Range<u64>) -> Result<&'a [u8]> {
        let at = |offset: u64| usize::try_from(offset.checked_sub(before.offset)?).ok();
        match (at(range.start), at(range.end)) {
            (Some(start), Some(end)) => match before.rest.get(start..end) {
                Some(bytes) => Ok(bytes),
                None => self.truncated(),
            },
            _ => self.truncated(),
        }
    }

    fn advance(&mut self, len: usize) -> Result<()> {
        let Some(rest) = self.rest.get(len..) else {
            return self.truncated();
        };
        self.rest = rest;
        self.offset = self
            .offset
            .saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        Ok(())
    }

    pub(crate) fn enter(&mut self, inner: Parser) {
        self.outer.push(core::mem::replace(&mut self.parser, inner));
    }

    /// Returns to the enclosing component; `false` if there is none.
    pub(crate) fn leave(&mut self) -> bool {
        match self.outer.pop() {
            Some(parser) => {
                self.parser = parser;
                true
            }
            None => false,
        }
    }

    #[cold]
    fn truncated<T>(&self) -> Result<T> {
        let end = self.offset.saturating_add(crate::address::len(self.rest));
        Err(ParseError::new(ParseErrorKind::Truncated, end))
    }
}
