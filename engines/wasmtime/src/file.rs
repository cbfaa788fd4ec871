//! A prepared module in one file: compiled code and images.
//!
//! | offset | bytes | |
//! |--:|--:|---|
//! | 0 | 8 | magic number |
//! | 8 | 4 | version of this format |
//! | 12 | 4 | CRC-32 of everything from offset 16 on |
//! | 16 | 8 | flags |
//! | 24 | 8 | size of the artifact |
//! | 32 | 8 | size of the code |
//! | 40 | 16 | sizes of the code of the two owners of imported memories; 0 without one |
//! | 56 | | artifact, code, code of the owners |
//!
//! All numbers are little-endian.

use crate::error::LoadError;

const MAGIC: [u8; 8] = *b"\0wmi+wt\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 56;
/// Where the checksum starts.
const CHECKED_FROM: usize = 16;

/// The module has a start function.
const HAS_START: u64 = 1;

/// The parts of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PreparedFile<'a> {
    pub(crate) artifact: &'a [u8],
    pub(crate) code: &'a [u8],
    /// Empty where there is none.
    pub(crate) owners: [&'a [u8]; 2],
    pub(crate) has_start: bool,
}

impl<'a> PreparedFile<'a> {
    #[cfg(any(feature = "compile", test))]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let [first, second] = self.owners;
        let parts = [self.artifact, self.code, first, second];
        let len: usize = parts.iter().map(|it| it.len()).sum();
        let mut file = Vec::with_capacity(HEADER_BYTES + len);
        file.extend_from_slice(&MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        file.extend_from_slice(&[0; 4]);
        let flags = if self.has_start { HAS_START } else { 0 };
        file.extend_from_slice(&flags.to_le_bytes());
        for part in parts {
            let len = u64::try_from(part.len()).unwrap_or(u64::MAX);
            file.extend_from_slice(&len.to_le_bytes());
        }
        for part in parts {
            file.extend_from_slice(part);
        }
        let checksum = crc32fast::hash(&file[CHECKED_FROM..]);
        file[CHECKED_FROM - 4..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
        file
    }

    /// Checks everything except the contents of the parts.
    pub(crate) fn decode(file: &'a [u8]) -> Result<Self, LoadError> {
        let mut rest = file;
        if take(&mut rest).ok() != Some(MAGIC) {
            return Err(LoadError::NotPrepared);
        }
        let found = u64::try_from(file.len()).unwrap_or(u64::MAX);
        let expected = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
        let too_short = |()| LoadError::Length { expected, found };
        let version = u32::from_le_bytes(take(&mut rest).map_err(too_short)?);
        if version != VERSION {
            return Err(LoadError::Version {
                found: version,
                expected: VERSION,
            });
        }
        let checksum = u32::from_le_bytes(take(&mut rest).map_err(too_short)?);
        let checked = file.get(CHECKED_FROM..).unwrap_or_default();
        let mut number = || take(&mut rest).map(u64::from_le_bytes).map_err(too_short);
        let flags = number()?;
        let lens = [number()?, number()?, number()?, number()?];
        let expected = lens
            .iter()
            .try_fold(expected, |sum, part| sum.checked_add(*part));
        if expected != Some(found) {
            let expected = expected.unwrap_or(u64::MAX);
            return Err(LoadError::Length { expected, found });
        }
        if crc32fast::hash(checked) != checksum {
            return Err(LoadError::Checksum);
        }
        if flags & !HAS_START != 0 {
            return Err(LoadError::Inconsistent);
        }
        let mut part = |len: u64| {
            // Never fails: the sum is the size of the file.
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let (part, after) = rest.split_at_checked(len)?;
            rest = after;
            Some(part)
        };
        let mut part = |len| part(len).ok_or(LoadError::Inconsistent);
        Ok(Self {
            artifact: part(lens[0])?,
            code: part(lens[1])?,
            owners: [part(lens[2])?, part(lens[3])?],
            has_start: flags & HAS_START != 0,
        })
    }
}

/// Removes and returns the first bytes.
pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ()> {
    let (first, after) = rest.split_first_chunk().ok_or(())?;
    *rest = after;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: PreparedFile<'_> = PreparedFile {
        artifact: b"images",
        code: b"code",
        owners: [b"owner", b"another"],
        has_start: true,
    };

    #[test]
    fn files_survive_the_round_trip() {
        for owners in [FILE.owners, [b"", b"only"], [b"", b""]] {
            for has_start in [false, true] {
                let file = PreparedFile {
                    owners,
                    has_start,
                    ..FILE
                };
                let bytes = file.encode();
                assert_eq!(PreparedFile::decode(&bytes).expect("whole"), file);
            }
        }
    }

    #[test]
    fn every_changed_bit_is_found() {
        let bytes = FILE.encode();
        for at in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(PreparedFile::decode(&bytes).is_err(), "bit {at}");
        }
    }

    #[test]
    fn every_other_length_is_found() {
        let mut bytes = FILE.encode();
        for len in 0..bytes.len() {
            assert!(PreparedFile::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        bytes.push(0);
        let err = PreparedFile::decode(&bytes).expect_err("too long");
        assert!(matches!(err, LoadError::Length { .. }), "{err:?}");
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let mut bytes = FILE.encode();
        bytes[8] = 9;
        let err = PreparedFile::decode(&bytes).expect_err("a later version");
        assert_eq!(
            err.to_string(),
            "the prepared module has format version 9, expected 1"
        );
        let err = PreparedFile::decode(b"\0asm\x01\0\0\0").expect_err("a module");
        assert_eq!(err.to_string(), "not a prepared module");
    }
}
