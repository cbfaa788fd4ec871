//! The fixed-size fields at the front of an artifact.
//!
//! `FORMAT.md` is the specification.

use alloc::vec::Vec;

use crate::artifact::error::{DecodeError, Part};
use crate::length::len_u64;

/// The first bytes of every artifact. Like PNG's signature, they detect damage by programs
/// that treat the file as text.
pub const MAGIC: [u8; 8] = *b"\x89WMI\r\n\x1a\n";

/// The only format version that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 3;

/// Magic, version, header length, header checksum, and four bytes of zero.
pub(crate) const HEADER_AT: usize = 24;

/// Maximum length of a header in bytes: the preamble states it in 32 bits.
const MAX_HEADER_LEN: u64 = (1 << 32) - 1;

/// Returns the length of a header, if the preamble can state it.
fn checked_len(header: &[u8]) -> Option<u32> {
    let len = Some(len_u64(header.len())).filter(|it| *it <= MAX_HEADER_LEN)?;
    u32::try_from(len).ok()
}

/// The fixed-size fields at the front.
pub(crate) struct Preamble {
    pub(crate) header_len: usize,
    pub(crate) header_checksum: u32,
}

impl Preamble {
    /// Appends the preamble of this header. `None` if the header is too long for one.
    pub(crate) fn put(header: &[u8], head: &mut Vec<u8>) -> Option<()> {
        let header_len = checked_len(header)?;
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        head.extend_from_slice(&header_len.to_le_bytes());
        head.extend_from_slice(&crc32fast::hash(header).to_le_bytes());
        head.extend_from_slice(&[0; 4]);
        debug_assert_eq!(head.len(), HEADER_AT);
        Some(())
    }

    /// Decodes the fields at the front of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let known = bytes.len().min(MAGIC.len());
        if bytes.get(..known) != MAGIC.get(..known) || known == 0 {
            return Err(DecodeError::NotAnArtifact);
        }
        let Some((_, fields)) = bytes.split_at_checked(MAGIC.len()) else {
            return Err(truncated(HEADER_AT, bytes));
        };
        let (fields, _) = fields.as_chunks::<4>();
        let field = |nth: usize| {
            fields
                .get(nth)
                .copied()
                .map(u32::from_le_bytes)
                .ok_or(truncated(HEADER_AT, bytes))
        };
        let version = field(0)?;
        if version != FORMAT_VERSION {
            return Err(DecodeError::Version {
                found: version,
                supported: FORMAT_VERSION,
            });
        }
        let invalid = DecodeError::Invalid {
            part: Part::Preamble,
        };
        if field(3)? != 0 {
            return Err(invalid);
        }
        Ok(Self {
            header_len: usize::try_from(field(1)?).map_err(|_| invalid)?,
            header_checksum: field(2)?,
        })
    }
}

pub(crate) fn truncated(expected: usize, bytes: &[u8]) -> DecodeError {
    DecodeError::Truncated {
        expected: len_u64(expected),
        found: len_u64(bytes.len()),
    }
}

#[cfg(all(test, target_pointer_width = "64", not(miri)))]
mod tests {
    use super::*;

    /// Nothing is read before the check, so that the zeros take no memory.
    #[test]
    fn a_header_of_4_gib_is_refused() {
        let header = alloc::vec![0; 1 << 32];
        let mut head = Vec::new();
        assert_eq!(Preamble::put(&header, &mut head), None);
        assert_eq!(head, []);
        assert_eq!(checked_len(&header[1..]), Some(u32::MAX));
    }
}
