//! A prepared module in one file: compiled code and images.
//!
//! | offset | bytes | |
//! |--:|--:|---|
//! | 0 | 16 | see `envelope.rs` |
//! | 16 | 8 | flags |
//! | 24 | 8 | size of the artifact |
//! | 32 | 8 | size of the code |
//! | 40 | | artifact, code |

use crate::envelope::Format;
#[cfg(any(feature = "compile", test))]
use crate::envelope::to_u64;
use crate::error::LoadError;

const FORMAT: Format = Format {
    magic: *b"\0wmi+wt\n",
    version: 1,
    min_bytes: 40,
};

/// The module has a start function.
const HAS_START: u64 = 1;

/// The parts of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PreparedFile<'a> {
    pub(crate) artifact: &'a [u8],
    pub(crate) code: &'a [u8],
    pub(crate) has_start: bool,
}

impl<'a> PreparedFile<'a> {
    #[cfg(any(feature = "compile", test))]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let parts = [self.artifact, self.code];
        let flags = if self.has_start { HAS_START } else { 0 };
        let [images, code] = parts.map(|it| to_u64(it.len()));
        FORMAT.encode(&[flags, images, code], &parts)
    }

    /// Checks everything except the contents of the parts.
    pub(crate) fn decode(file: &'a [u8]) -> Result<Self, LoadError> {
        let mut decoder = FORMAT.decode(file, LoadError::NotPrepared)?;
        let mut number = || decoder.number();
        let flags = number()?;
        let sizes = [number()?, number()?];
        decoder.check(sizes)?;
        if flags & !HAS_START != 0 {
            return Err(LoadError::Inconsistent);
        }
        let mut part = |nth: usize| decoder.part(sizes[nth]);
        Ok(Self {
            artifact: part(0)?,
            code: part(1)?,
            has_start: flags & HAS_START != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: PreparedFile<'_> = PreparedFile {
        artifact: b"images",
        code: b"code",
        has_start: true,
    };

    #[test]
    fn files_survive_the_round_trip() {
        for has_start in [false, true] {
            let file = PreparedFile { has_start, ..FILE };
            let bytes = file.encode();
            assert_eq!(PreparedFile::decode(&bytes).expect("whole"), file);
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
