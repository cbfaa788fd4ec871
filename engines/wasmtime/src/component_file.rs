//! A prepared component in one file: compiled code, and the images of its core modules.
//!
//! | offset | bytes | |
//! |--:|--:|---|
//! | 0 | 8 | magic number |
//! | 8 | 4 | version of this format |
//! | 12 | 4 | CRC-32 of everything from offset 16 on |
//! | 16 | 8 | number `m` of core modules |
//! | 24 | 8 | number `n` of core instances |
//! | 32 | 8 | size of the code |
//! | 40 | 8 `m` | sizes of the core modules' artifacts |
//! | | 8 `n` | the core module of each core instance, in the order of their instantiation |
//! | | | code, artifacts |
//!
//! All numbers are little-endian.

use crate::error::LoadError;
use crate::file::take;

const MAGIC: [u8; 8] = *b"\0wmi+wc\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 40;
/// Where the checksum starts.
const CHECKED_FROM: usize = 16;

/// The parts of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ComponentFile<'a> {
    pub(crate) code: &'a [u8],
    /// One for each core module.
    pub(crate) artifacts: Vec<&'a [u8]>,
    /// The core module of each core instance.
    pub(crate) instantiated: Vec<usize>,
}

impl<'a> ComponentFile<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let parts = || {
            [self.code]
                .into_iter()
                .chain(self.artifacts.iter().copied())
        };
        let counts = [self.artifacts.len(), self.instantiated.len()].into_iter();
        let numbers = counts
            .chain(parts().map(<[u8]>::len))
            .chain(self.instantiated.iter().copied());
        let mut file = Vec::new();
        file.extend_from_slice(&MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        file.extend_from_slice(&[0; 4]);
        for number in numbers {
            file.extend_from_slice(&to_u64(number).to_le_bytes());
        }
        for part in parts() {
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
            return Err(LoadError::NotPreparedComponent);
        }
        let found = to_u64(file.len());
        let wrong_length = |expected| LoadError::Length { expected, found };
        let too_short = |()| wrong_length(to_u64(HEADER_BYTES));
        let version = u32::from_le_bytes(take(&mut rest).map_err(too_short)?);
        if version != VERSION {
            return Err(LoadError::Version {
                found: version,
                expected: VERSION,
            });
        }
        let checksum = u32::from_le_bytes(take(&mut rest).map_err(too_short)?);
        let mut number = || take(&mut rest).map(u64::from_le_bytes).map_err(too_short);
        let [n_modules, n_instances, code_len] = [number()?, number()?, number()?];

        // Nothing larger than the file is allocated.
        let numbers_len = n_modules
            .checked_add(n_instances)
            .and_then(|sum| sum.checked_mul(8))
            .unwrap_or(u64::MAX);
        if to_u64(rest.len()) < numbers_len {
            let expected = numbers_len.saturating_add(to_u64(HEADER_BYTES));
            return Err(wrong_length(expected));
        }
        let mut numbers = |n: u64| -> Result<Vec<u64>, LoadError> {
            let number = |_| take(&mut rest).map(u64::from_le_bytes);
            (0..n)
                .map(number)
                .collect::<Result<_, _>>()
                .map_err(too_short)
        };
        let (lens, instantiated) = (numbers(n_modules)?, numbers(n_instances)?);
        let parts_len = lens
            .iter()
            .try_fold(code_len, |sum, len| sum.checked_add(*len))
            .unwrap_or(u64::MAX);
        if to_u64(rest.len()) != parts_len {
            let numbers_end = found.saturating_sub(to_u64(rest.len()));
            return Err(wrong_length(numbers_end.saturating_add(parts_len)));
        }
        if crc32fast::hash(&file[CHECKED_FROM..]) != checksum {
            return Err(LoadError::Checksum);
        }
        let mut part = |len: u64| {
            // Never fails: the sum was compared with the size of the file.
            let len = usize::try_from(len).map_err(|_| LoadError::Inconsistent)?;
            let (part, after) = rest.split_at_checked(len).ok_or(LoadError::Inconsistent)?;
            rest = after;
            Ok(part)
        };
        let code = part(code_len)?;
        let artifacts = lens.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
        let module = |it: u64| usize::try_from(it).ok().filter(|it| *it < artifacts.len());
        let instantiated = instantiated.into_iter().map(module);
        let instantiated: Option<_> = instantiated.collect();
        Ok(Self {
            code,
            instantiated: instantiated.ok_or(LoadError::Inconsistent)?,
            artifacts,
        })
    }
}

fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ComponentFile<'static> {
        ComponentFile {
            code: b"code",
            artifacts: vec![b"first", b"", b"another"],
            instantiated: vec![2, 0, 2],
        }
    }

    #[test]
    fn files_survive_the_round_trip() {
        let empty = ComponentFile {
            code: b"",
            artifacts: Vec::new(),
            instantiated: Vec::new(),
        };
        for file in [file(), empty] {
            let bytes = file.encode();
            assert_eq!(ComponentFile::decode(&bytes).expect("whole"), file);
        }
    }

    #[test]
    fn every_changed_bit_is_found() {
        let bytes = file().encode();
        for at in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(ComponentFile::decode(&bytes).is_err(), "bit {at}");
        }
    }

    #[test]
    fn every_other_length_is_found() {
        let mut bytes = file().encode();
        for len in 0..bytes.len() {
            assert!(ComponentFile::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        bytes.push(0);
        let err = ComponentFile::decode(&bytes).expect_err("too long");
        assert!(matches!(err, LoadError::Length { .. }), "{err:?}");
    }

    /// Numbers that a checksum does not protect from.
    #[test]
    fn numbers_are_compared_with_the_size() {
        for (at, number) in [
            (16, u64::MAX),
            (24, 1 << 61),
            (32, u64::MAX),
            (40, u64::MAX),
        ] {
            let mut bytes = file().encode();
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
            let err = ComponentFile::decode(&bytes).expect_err("too large");
            assert!(matches!(err, LoadError::Length { .. }), "{at}: {err:?}");
        }
        let unknown = ComponentFile {
            instantiated: vec![3],
            ..file()
        };
        let err = ComponentFile::decode(&unknown.encode()).map(drop);
        assert!(matches!(err, Err(LoadError::Inconsistent)), "{err:?}");
    }
}
