//! A prepared component in one file: compiled code, and the images of its core modules.
//!
//! | offset | bytes | |
//! |--:|--:|---|
//! | 0 | 16 | see `envelope.rs` |
//! | 16 | 8 | number `m` of core modules |
//! | 24 | 8 | number `n` of core instances |
//! | 32 | 8 | number of core instances that are created before any code runs |
//! | 40 | 8 | size of the code |
//! | 48 | 8 `m` | sizes of the core modules' artifacts |
//! | | 8 `n` | the core module of each core instance, in the order of their instantiation |
//! | | | code, artifacts |

use crate::envelope::Format;
#[cfg(any(feature = "compile", test))]
use crate::envelope::to_u64;
use crate::error::LoadError;

const FORMAT: Format = Format {
    magic: *b"\0wmi+wc\n",
    version: 1,
    min_bytes: 48,
};

/// The parts of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ComponentFile<'a> {
    pub(crate) code: &'a [u8],
    /// One for each core module.
    pub(crate) artifacts: Vec<&'a [u8]>,
    /// The core module of each core instance.
    pub(crate) instantiated: Vec<usize>,
    /// How many of these are created before a start function can have called the host.
    pub(crate) n_before_code: usize,
}

impl<'a> ComponentFile<'a> {
    #[cfg(any(feature = "compile", test))]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let parts = [&[self.code], &*self.artifacts].concat();
        let [n_modules, n_instances] = [self.artifacts.len(), self.instantiated.len()];
        let numbers = [n_modules, n_instances, self.n_before_code]
            .into_iter()
            .chain(parts.iter().map(|it| it.len()))
            .chain(self.instantiated.iter().copied());
        FORMAT.encode(&numbers.map(to_u64).collect::<Vec<_>>(), &parts)
    }

    /// Checks everything except the contents of the parts.
    pub(crate) fn decode(file: &'a [u8]) -> Result<Self, LoadError> {
        let mut decoder = FORMAT.decode(file, LoadError::NotPreparedComponent)?;
        let mut number = || decoder.number();
        let [n_modules, n_instances] = [number()?, number()?];
        let [n_before_code, code_size] = [number()?, number()?];
        let n_numbers = n_modules.checked_add(n_instances);
        decoder.expect_at_least(n_numbers.and_then(|n| n.checked_mul(8)))?;
        let sizes = decoder.numbers(n_modules)?;
        let instantiated = decoder.numbers(n_instances)?;
        decoder.check([code_size].into_iter().chain(sizes.iter().copied()))?;
        let code = decoder.part(code_size)?;
        let artifacts = sizes.into_iter().map(|size| decoder.part(size));
        let artifacts = artifacts.collect::<Result<Vec<_>, _>>()?;
        let module = |it: u64| usize::try_from(it).ok().filter(|it| *it < artifacts.len());
        let instantiated = instantiated.into_iter().map(module);
        let instantiated: Option<Vec<_>> = instantiated.collect();
        let instantiated = instantiated.ok_or(LoadError::Inconsistent)?;
        let n_before_code = usize::try_from(n_before_code).ok();
        let n_before_code = n_before_code.filter(|n| *n <= instantiated.len());
        Ok(Self {
            code,
            n_before_code: n_before_code.ok_or(LoadError::Inconsistent)?,
            instantiated,
            artifacts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ComponentFile<'static> {
        ComponentFile {
            code: b"code",
            artifacts: vec![b"first", b"", b"another"],
            instantiated: vec![2, 0, 2],
            n_before_code: 2,
        }
    }

    #[test]
    fn files_survive_the_round_trip() {
        let empty = ComponentFile {
            code: b"",
            artifacts: Vec::new(),
            instantiated: Vec::new(),
            n_before_code: 0,
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
            (40, u64::MAX),
            (48, u64::MAX),
        ] {
            let mut bytes = file().encode();
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
            let err = ComponentFile::decode(&bytes).expect_err("too large");
            assert!(matches!(err, LoadError::Length { .. }), "{at}: {err:?}");
        }
        let unknown = ComponentFile {
            instantiated: vec![0, 3],
            ..file()
        };
        let too_many = ComponentFile {
            n_before_code: 4,
            ..file()
        };
        for file in [unknown, too_many] {
            let err = ComponentFile::decode(&file.encode()).map(drop);
            assert!(matches!(err, Err(LoadError::Inconsistent)), "{err:?}");
        }
    }
}
