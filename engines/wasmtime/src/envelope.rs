//! What prepared modules and components have in common as files: a magic number, a version and a
//! checksum, then numbers, then parts whose sizes are among the numbers.
//!
//! | offset | bytes | |
//! |--:|--:|---|
//! | 0 | 8 | magic number |
//! | 8 | 4 | version of this format |
//! | 12 | 4 | CRC-32 of everything from offset 16 on |
//! | 16 | | numbers of 8 bytes each; parts |
//!
//! All numbers are little-endian.

use crate::error::LoadError;

/// Where the checksum starts.
const CHECKED_FROM: usize = 16;

/// A kind of file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
    /// The fewest bytes of a file.
    pub(crate) min_bytes: usize,
}

/// Decodes a file from its beginning.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    file: &'a [u8],
    rest: &'a [u8],
    checksum: u32,
    min_bytes: usize,
}

impl Format {
    #[cfg(any(feature = "compile", test))]
    pub(crate) fn encode(self, numbers: &[u64], parts: &[&[u8]]) -> Vec<u8> {
        let len: usize = parts.iter().map(|it| it.len()).sum();
        let mut file = Vec::with_capacity(CHECKED_FROM + 8 * numbers.len() + len);
        file.extend_from_slice(&self.magic);
        file.extend_from_slice(&self.version.to_le_bytes());
        file.extend_from_slice(&[0; 4]);
        for number in numbers {
            file.extend_from_slice(&number.to_le_bytes());
        }
        for part in parts {
            file.extend_from_slice(part);
        }
        let checksum = crc32fast::hash(&file[CHECKED_FROM..]);
        file[CHECKED_FROM - 4..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
        file
    }

    /// Reads what precedes the numbers. A file with another magic number is `other`.
    pub(crate) fn decode(self, file: &[u8], other: LoadError) -> Result<Decoder<'_>, LoadError> {
        let mut decoder = Decoder {
            file,
            rest: file,
            checksum: 0,
            min_bytes: self.min_bytes,
        };
        if decoder.take().ok() != Some(self.magic) {
            return Err(other);
        }
        let version = u32::from_le_bytes(decoder.take()?);
        if version != self.version {
            return Err(LoadError::Version {
                found: version,
                expected: self.version,
            });
        }
        decoder.checksum = u32::from_le_bytes(decoder.take()?);
        Ok(decoder)
    }
}

impl<'a> Decoder<'a> {
    pub(crate) fn number(&mut self) -> Result<u64, LoadError> {
        self.take().map(u64::from_le_bytes)
    }

    /// Reads `n` numbers. Nothing larger than the file is allocated.
    #[cfg(feature = "component-model")]
    pub(crate) fn numbers(&mut self, n: u64) -> Result<Vec<u64>, LoadError> {
        self.expect_at_least(n.checked_mul(8))?;
        (0..n).map(|_| self.number()).collect()
    }

    /// Requires that many more bytes; `None` stands for more than any file has.
    #[cfg(feature = "component-model")]
    pub(crate) fn expect_at_least(&self, bytes: Option<u64>) -> Result<(), LoadError> {
        match bytes {
            Some(bytes) if bytes <= to_u64(self.rest.len()) => Ok(()),
            _ => Err(self.wrong_length(bytes)),
        }
    }

    /// Requires that parts of these sizes follow, and nothing else, and compares the checksum.
    pub(crate) fn check(&mut self, sizes: impl IntoIterator<Item = u64>) -> Result<(), LoadError> {
        let total = sizes
            .into_iter()
            .try_fold(0_u64, |sum, size| sum.checked_add(size));
        if total != Some(to_u64(self.rest.len())) {
            return Err(self.wrong_length(total));
        }
        match crc32fast::hash(&self.file[CHECKED_FROM..]) == self.checksum {
            true => Ok(()),
            false => Err(LoadError::Checksum),
        }
    }

    /// Returns the next part, which was [checked](Self::check).
    pub(crate) fn part(&mut self, size: u64) -> Result<&'a [u8], LoadError> {
        let size = usize::try_from(size).map_err(|_| LoadError::Inconsistent)?;
        let split = self.rest.split_at_checked(size);
        let (part, after) = split.ok_or(LoadError::Inconsistent)?;
        self.rest = after;
        Ok(part)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let too_short = LoadError::Length {
            expected: to_u64(self.min_bytes),
            found: to_u64(self.file.len()),
        };
        let (first, after) = self.rest.split_first_chunk().ok_or(too_short)?;
        self.rest = after;
        Ok(*first)
    }

    /// Returns the error if that many bytes were expected to follow.
    fn wrong_length(&self, bytes: Option<u64>) -> LoadError {
        let found = to_u64(self.file.len());
        let read = found.saturating_sub(to_u64(self.rest.len()));
        LoadError::Length {
            expected: bytes.map_or(u64::MAX, |bytes| read.saturating_add(bytes)),
            found,
        }
    }
}

pub(crate) fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
