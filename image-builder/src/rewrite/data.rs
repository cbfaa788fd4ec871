//! The binary encoding of data segments, and its length.

use alloc::vec::Vec;

use wasm_encoder::{ConstExpr, Encode};
use wasm_meminit_analysis::{IndexType, MemoryIndex, StaticMemoryInitializer};

use super::error::RewriteError;
use super::span::Span;

/// An empty passive segment. A program cannot distinguish it from a dropped one.
pub(super) const EMPTY_PASSIVE: &[u8] = &[1, 0];

/// The memory that active segments write to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) memory: MemoryIndex,
    pub(super) index_type: IndexType,
}

impl Target {
    /// Returns the length of a segment's encoding before the data: flags, memory index
    /// unless it is 0, and the offset expression.
    pub(super) fn header_len(self, addr: u64) -> u64 {
        let memory = match self.memory.as_u32() {
            0 => 0,
            memory => unsigned_len(memory.into()),
        };
        // Flags, the constant's opcode and `end` have a byte each.
        memory
            .saturating_add(signed_len(self.offset(addr)))
            .saturating_add(3)
    }

    /// Returns the length of a segment's whole encoding.
    pub(super) fn segment_len(self, span: Span) -> u64 {
        self.header_len(span.start)
            .saturating_add(unsigned_len(span.len()))
            .saturating_add(span.len())
    }

    /// Appends flags, memory index and offset expression.
    fn write_header(self, addr: u64, out: &mut Vec<u8>) {
        match self.memory.as_u32() {
            0 => out.push(0),
            memory => {
                out.push(2);
                memory.encode(out);
            }
        }
        let offset = self.offset(addr);
        match (self.index_type, i32::try_from(offset)) {
            (IndexType::I32, Ok(offset)) => ConstExpr::i32_const(offset).encode(out),
            // Never reached for a 32-bit memory, whose addresses have 32 bits.
            _ => ConstExpr::i64_const(offset).encode(out),
        }
    }

    /// Returns the signed constant for an address; negative for the upper half.
    fn offset(self, addr: u64) -> i64 {
        match (self.index_type, u32::try_from(addr)) {
            (IndexType::I32, Ok(addr)) => addr.cast_signed().into(),
            _ => addr.cast_signed(),
        }
    }

    /// Appends an empty segment at address 0, which is in bounds of any memory.
    pub(super) fn write_empty(self, out: &mut Vec<u8>) {
        self.write_header(0, out);
        out.push(0);
    }

    /// Appends one segment for each span, with zeros where there is no piece.
    ///
    /// Spans and pieces must each be disjoint and in address order. A span must end with a
    /// byte of a piece.
    ///
    /// # Errors
    ///
    /// [`RewriteError::TooLarge`] for a span of 4 GiB or more.
    pub(super) fn write_segments(
        self,
        spans: &[Span],
        pieces: &[StaticMemoryInitializer<'_>],
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        let mut pieces = pieces.iter().peekable();
        for span in spans {
            let len = u32::try_from(span.len()).map_err(|_| RewriteError::TooLarge)?;
            self.write_header(span.start, out);
            len.encode(out);
            let mut at = span.start;
            while let Some(&piece) = pieces.peek() {
                if span.end <= piece.addr {
                    break;
                }
                let from = piece.addr.max(at);
                let to = piece.end().min(span.end);
                if from < to {
                    zeros(out, from.saturating_sub(at));
                    let skip = from.saturating_sub(piece.addr);
                    let take = to.saturating_sub(from);
                    let data = part(&piece.data, skip, take);
                    out.extend_from_slice(data.ok_or(RewriteError::TooLarge)?);
                    at = to;
                }
                if span.end < piece.end() {
                    break; // the rest is in a later span
                }
                pieces.next();
            }
            debug_assert_eq!(at, span.end);
        }
        Ok(())
    }
}

fn zeros(out: &mut Vec<u8>, n: u64) {
    // Never fails: `n` is below 4 GiB.
    let n = usize::try_from(n).unwrap_or(0);
    out.resize(out.len().saturating_add(n), 0);
}

fn part(data: &[u8], skip: u64, take: u64) -> Option<&[u8]> {
    data.get(usize::try_from(skip).ok()?..)?
        .get(..usize::try_from(take).ok()?)
}

/// Returns the length of a number as unsigned LEB128.
pub(super) const fn unsigned_len(value: u64) -> u64 {
    let bits = 64_u32.saturating_sub((value | 1).leading_zeros());
    widen(bits.div_ceil(7))
}

/// Returns the length of a number as signed LEB128.
const fn signed_len(value: i64) -> u64 {
    let magnitude = if value < 0 { !value } else { value }.cast_unsigned();
    // One more bit for the sign.
    let bits = 65_u32.saturating_sub(magnitude.leading_zeros());
    widen(bits.div_ceil(7))
}

/// `u64::from`, which is not const.
#[expect(clippy::as_conversions, reason = "lossless")]
const fn widen(value: u32) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(memory: u32, index_type: IndexType) -> Target {
        Target {
            memory: MemoryIndex::from_u32(memory),
            index_type,
        }
    }

    #[track_caller]
    fn check(target: Target, addr: u64, len: u32) {
        let mut out = Vec::new();
        target.write_header(addr, &mut out);
        assert_eq!(
            out.len() as u64,
            target.header_len(addr),
            "{target:?} {addr:#x}"
        );
        len.encode(&mut out);
        let end = addr.saturating_add(len.into());
        if end - addr == u64::from(len) {
            let span = Span { start: addr, end };
            assert_eq!(out.len() as u64 + u64::from(len), target.segment_len(span));
        }
    }

    proptest! {
        #[test]
        fn lengths_match_the_encoding(
            memory in 0_u32..100,
            bits in 0_u32..64,
            addr: u64,
            len: u32,
        ) {
            check(target(memory, IndexType::I64), addr >> bits, len >> (bits % 32));
            check(target(memory, IndexType::I32), (addr >> bits) & 0xffff_ffff, len);
        }
    }

    #[test]
    fn lengths_at_the_edges() {
        for shift in 0..64 {
            for addr in [
                (1_u64 << shift) - 1,
                1 << shift,
                0_u64.wrapping_sub(1 << shift),
            ] {
                check(target(0, IndexType::I64), addr, 0);
                check(target(1, IndexType::I32), addr & 0xffff_ffff, 127);
                check(target(0, IndexType::I32), !addr & 0xffff_ffff, 128);
            }
        }
    }
}
