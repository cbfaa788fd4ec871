//! Assembles the text format, and shows where it is wrong.

use core::fmt::Display;

use wast::parser::{self, ParseBuffer};
use wast::token::Span;

use super::source::Source;
use crate::error::{Error, Result};
use crate::text::excerpt::excerpt;
use crate::text::terminal::Look;

/// Assembles a module or component.
///
/// # Errors
///
/// The text is not UTF-8 or not WebAssembly. The error names the line and the column, counted
/// in bytes from 1, and shows the line.
pub(super) fn assemble(source: Source<'_>, bytes: &[u8]) -> Result<Vec<u8>> {
    let text = core::str::from_utf8(bytes).map_err(|err| {
        let at = err.valid_up_to();
        Error::of(&source, format_args!("not UTF-8 (at offset {at:#x})"))
    })?;
    // A byte order mark is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let fail = |err: wast::Error| error(source, text, err.span(), err.message());
    let buffer = ParseBuffer::new(text).map_err(fail)?;
    let mut wat = parser::parse::<wast::Wat<'_>>(&buffer).map_err(fail)?;
    wat.encode().map_err(fail)
}

fn error(source: Source<'_>, text: &str, span: Span, message: impl Display) -> Error {
    let (line, column) = span.linecol_in(text);
    let place = format!("{source}:{}:{}", line + 1, column + 1);
    let content = text.lines().nth(line).unwrap_or("");
    let excerpt = excerpt(line + 1, content, column, Look::detect(false));
    Error::of(&place, message).with_excerpt(excerpt)
}
