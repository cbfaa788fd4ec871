//! `dump`: bytes in hexadecimal and as text, and the origin of each range.

use core::ops::Range;
use std::io::{self, Write};

use anstyle::Style;

use super::{Bytes, Contents, Fate, MemoryContents, SegmentView};
use crate::report::decision;
use crate::text::printable::printable;
use crate::text::terminal::{BOLD, DIM, Look, YELLOW, paint};
use crate::text::units::{counted, size};

/// How many bytes a line shows.
const ROW: u64 = 16;

/// How many ranges are listed.
const MAX_RANGES: usize = 64;

/// A range of addresses to show.
pub(crate) struct Dump<'c, 'a> {
    /// The name of the file.
    pub(crate) name: String,
    pub(crate) contents: &'c Contents<'a>,
    pub(crate) memory: &'c MemoryContents<'a>,
    pub(crate) index: u32,
    /// Within the memory.
    pub(crate) range: Range<u64>,
}

/// A range of bytes with one origin.
type Piece = (Range<u64>, Bytes);

impl Dump<'_, '_> {
    pub(crate) fn write(&self, to: &mut dyn Write, look: Look) -> io::Result<()> {
        let bytes = self.memory.size.map_or("2^64 bytes".to_owned(), size);
        let decision = decision::word(self.memory.decision);
        let import = if self.memory.is_imported {
            ", imported"
        } else {
            ""
        };
        writeln!(
            to,
            "{}: memory {}, {bytes}{import}, {decision}",
            paint(BOLD, printable(&self.name)),
            self.index
        )?;
        let pieces: Vec<Piece> = self
            .memory
            .sources(self.range.clone())
            .iter()
            .map(|(range, bytes)| (range, *bytes))
            .collect();
        if !pieces.is_empty() {
            writeln!(to)?;
            self.rows(to, &pieces)?;
            writeln!(to)?;
        }
        self.origins(to, &pieces, look)
    }

    /// Writes the rows. Of rows that are equal and have only zeros or only unknown bytes, the
    /// first is written, then an asterisk; the last row of all is always written.
    fn rows(&self, to: &mut dyn Write, pieces: &[Piece]) -> io::Result<()> {
        // For eight digits, as long as they suffice.
        let digits = if self.range.end <= 1 << 32 { 8 } else { 16 };
        let mut first = 0;
        let mut addr = self.range.start;
        let mut is_folded = false;
        let mut last_plain = None;
        while addr < self.range.end {
            let end = addr.saturating_add(ROW).min(self.range.end);
            while pieces.get(first).is_some_and(|it| it.0.end <= addr) {
                first += 1;
            }
            let row = Row::read(self.memory, addr..end, &pieces[first..]);
            let plain = row.plain();
            if plain.is_some() && plain == last_plain && end < self.range.end {
                if !is_folded {
                    writeln!(to, "*")?;
                }
                is_folded = true;
                // The rest of a long range without data need not be read.
                addr = self.skip(addr, end, pieces.get(first));
                continue;
            }
            row.write(to, digits)?;
            (is_folded, last_plain) = (false, plain);
            addr = end;
        }
        Ok(())
    }

    /// Returns the next row to read, after one that was folded: the last whole row within the
    /// piece, if nothing is stored in between.
    fn skip(&self, addr: u64, end: u64, piece: Option<&Piece>) -> u64 {
        match piece {
            Some((range, Bytes::Zero | Bytes::Host)) => {
                let last = range.end.min(self.range.end - 1);
                let rows = last.saturating_sub(addr) / ROW;
                end.max(addr + rows * ROW)
            }
            _ => end,
        }
    }

    fn origins(&self, to: &mut dyn Write, pieces: &[Piece], look: Look) -> io::Result<()> {
        for (range, bytes) in pieces.iter().take(MAX_RANGES) {
            let origin = self.origin(range, *bytes, look);
            writeln!(to, "{:#x}..{:#x}  {origin}", range.start, range.end)?;
        }
        if let Some(rest) = pieces.get(MAX_RANGES..).filter(|it| !it.is_empty()) {
            writeln!(to, "and {}", counted(rest.len() as u64, "more range"))?;
        }
        let memory = self.memory;
        if memory.n_unplaced != 0 {
            let n = counted(memory.n_unplaced, "replayed segment");
            let bytes = counted(memory.unplaced_bytes, "byte");
            let verb = if memory.n_unplaced == 1 { "goes" } else { "go" };
            writeln!(
                to,
                "{n} ({bytes}) {verb} to addresses not yet known, perhaps to these"
            )?;
        }
        let is_host = |it: &Piece| it.1 == Bytes::Host;
        if !self.contents.is_artifact && pieces.iter().any(is_host) {
            writeln!(
                to,
                "if the host supplies a zeroed memory, --assume-zeroed-imports shows more"
            )?;
        }
        match self.contents.has_start {
            Some(false) => Ok(()),
            Some(true) => writeln!(
                to,
                "the start function runs afterwards, and may change these bytes"
            ),
            None => writeln!(
                to,
                "if the module has a start function, it runs afterwards, and may change these bytes"
            ),
        }
    }

    /// Says where the bytes of a range come from.
    fn origin(&self, range: &Range<u64>, bytes: Bytes, look: Look) -> String {
        let segment = |nth: usize| self.contents.segments.get(nth);
        match bytes {
            Bytes::Zero => "zero: nothing writes here".to_owned(),
            Bytes::Host => "not static: the host supplies the memory".to_owned(),
            Bytes::Flag => "the flag of the start function".to_owned(),
            Bytes::Run(addr) => format!("the image: run at {addr:#x}"),
            Bytes::Segment(nth) => segment(nth).map_or_else(String::new, |it| {
                let copied = match it.fate {
                    Fate::Copied => ", instead of the start function",
                    _ => "",
                };
                format!("{}{copied}", part(it, range, look))
            }),
            Bytes::Replayed(nth) => segment(nth).map_or_else(String::new, |it| {
                let why = match it.fate {
                    Fate::Replayed(Some(reason)) => format!(": {reason}"),
                    _ => ": replayed at each start".to_owned(),
                };
                format!("not static, {}{why}", part(it, range, look))
            }),
        }
    }
}

/// Names a segment, and the part of it that is in the range.
fn part(segment: &SegmentView<'_>, range: &Range<u64>, look: Look) -> String {
    let mut text = format!("segment {}", segment.index);
    if let Some(name) = segment.name {
        text.push_str(&format!(" ({})", look.name(name)));
    }
    let offset = range.start - segment.addr.unwrap_or(range.start);
    let len = range.end - range.start;
    if len != segment.len() {
        text.push_str(&format!(
            ", bytes {offset:#x}..{:#x} of {:#x}",
            offset + len,
            segment.len()
        ));
    }
    text
}

/// Up to 16 bytes; `None` for those that are not known.
struct Row {
    addr: u64,
    bytes: Vec<Option<u8>>,
}

impl Row {
    /// `pieces` begin with the one that contains the first address.
    fn read(memory: &MemoryContents<'_>, range: Range<u64>, pieces: &[Piece]) -> Self {
        let mut bytes = [0; ROW as usize];
        let bytes = &mut bytes[..(range.end - range.start) as usize];
        memory.read(range.start, bytes);
        let mut bytes: Vec<Option<u8>> = bytes.iter().copied().map(Some).collect();
        let within = pieces.iter().take_while(|it| it.0.start < range.end);
        for (piece, _) in within.filter(|it| !it.1.are_known()) {
            let from = piece.start.max(range.start) - range.start;
            let to = piece.end.min(range.end) - range.start;
            bytes[from as usize..to as usize].fill(None);
        }
        Self {
            addr: range.start,
            bytes,
        }
    }

    /// Returns the byte that all bytes are, if that is zero or unknown.
    fn plain(&self) -> Option<Option<u8>> {
        let first = *self.bytes.first()?;
        let is_plain = matches!(first, None | Some(0)) && self.bytes.iter().all(|it| *it == first);
        is_plain.then_some(first)
    }

    /// Writes the row as `xxd` does: pairs of bytes, then text.
    fn write(&self, to: &mut dyn Write, digits: usize) -> io::Result<()> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut line = Vec::with_capacity(128);
        write!(line, "{DIM}{:0digits$x}:{DIM:#}", self.addr)?;
        for nth in 0..ROW as usize {
            if nth % 2 == 0 {
                line.push(b' ');
            }
            match self.bytes.get(nth) {
                None => line.extend_from_slice(b"  "),
                Some(byte) => {
                    let digit = |it: u8| DIGITS[usize::from(it & 15)];
                    let text = byte.map_or(*b"??", |it| [digit(it >> 4), digit(it)]);
                    push(&mut line, *byte, &text)?;
                }
            }
        }
        line.extend_from_slice(b"  ");
        for byte in &self.bytes {
            let text = match byte {
                None => b'?',
                Some(byte) if byte.is_ascii_graphic() || *byte == b' ' => *byte,
                Some(_) => b'.',
            };
            push(&mut line, *byte, &[text])?;
        }
        line.push(b'\n');
        to.write_all(&line)
    }
}

/// Appends text in the colour of a byte. Most bytes have none, and a dump may have millions.
fn push(line: &mut Vec<u8>, byte: Option<u8>, text: &[u8]) -> io::Result<()> {
    let Some(style) = style(byte) else {
        line.extend_from_slice(text);
        return Ok(());
    };
    write!(line, "{style}")?;
    line.extend_from_slice(text);
    write!(line, "{style:#}")
}

const fn style(byte: Option<u8>) -> Option<Style> {
    match byte {
        None => Some(YELLOW),
        Some(0) => Some(DIM),
        Some(_) => None,
    }
}
