//! Content that is mostly zero: with holes in a file, or written out in full.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::temporary::Writer;

/// Writes the pieces at their offsets, and sets the length.
pub(super) fn write_holes(
    to: &mut Writer<'_>,
    pieces: &[(u64, &[u8])],
    len: u64,
) -> io::Result<()> {
    // First, so that a length that the file system does not allow is refused at once.
    to.set_len(len)?;
    for (offset, bytes) in pieces {
        to.seek(SeekFrom::Start(*offset))?;
        to.write_all(bytes)?;
    }
    Ok(())
}

/// Writes the pieces with zeros around them, in order.
pub(super) fn write_zeros(to: &mut dyn Write, pieces: &[(u64, &[u8])], len: u64) -> io::Result<()> {
    let mut at = 0;
    for (offset, bytes) in pieces {
        zeros(to, offset.saturating_sub(at))?;
        to.write_all(bytes)?;
        at = offset + bytes.len() as u64;
    }
    zeros(to, len.saturating_sub(at))
}

fn zeros(to: &mut dyn Write, n: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(n), to).map(drop)
}
