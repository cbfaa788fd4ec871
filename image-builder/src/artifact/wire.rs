//! Encodes and decodes the primitive items of an artifact's header.
//!
//! Every value has exactly one encoding, so the same content gives the same bytes. The
//! encoding does not depend on how public types are declared. `FORMAT.md` is the
//! specification.

use alloc::vec::Vec;

use wasm_meminit_analysis::Value;

use crate::length::len_u64;

/// The tag of an `i32`: its code in the WebAssembly binary format.
const I32: u8 = 0x7f;
/// The tag of an `i64`.
const I64: u8 = 0x7e;
/// The tag of an offset that is an expression; distinct from the tags of constants.
pub(crate) const EXPRESSION: u8 = 0x00;

/// Appends items to a header.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(crate) fn bool(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    /// Appends an unsigned LEB128 integer of minimal length.
    pub(crate) fn uint(&mut self, mut value: u64) {
        loop {
            // Never fails: seven bits.
            let low = u8::try_from(value & 0x7f).unwrap_or(0);
            value = value.wrapping_shr(7);
            if value == 0 {
                return self.byte(low);
            }
            self.byte(low | 0x80);
        }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a length, then the bytes.
    pub(crate) fn counted(&mut self, bytes: &[u8]) {
        self.uint(len_u64(bytes.len()));
        self.raw(bytes);
    }

    pub(crate) fn value(&mut self, value: Value) {
        match value {
            Value::I32(value) => {
                self.byte(I32);
                self.raw(&value.to_le_bytes());
            }
            Value::I64(value) => {
                self.byte(I64);
                self.raw(&value.to_le_bytes());
            }
        }
    }

    pub(crate) fn hash(&mut self, hash: Option<[u8; 32]>) {
        self.bool(hash.is_some());
        if let Some(hash) = hash {
            self.raw(&hash);
        }
    }
}

/// Reads items from the front of a header. Every method returns `None` if there are too few
/// bytes, or if [`Writer`] would not have written them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn uint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0_u32..64).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            // The tenth byte contributes a single bit.
            if shift == 63 && 1 < low {
                return None;
            }
            value |= low.checked_shl(shift)?;
            if byte & 0x80 == 0 {
                // Minimal length: only the value zero ends in a zero byte.
                return (byte != 0 || shift == 0).then_some(value);
            }
        }
        None
    }

    pub(crate) fn uint32(&mut self) -> Option<u32> {
        u32::try_from(self.uint()?).ok()
    }

    /// Reads an index. The value `u32::MAX` is reserved.
    pub(crate) fn index(&mut self) -> Option<u32> {
        self.uint32().filter(|index| *index != u32::MAX)
    }

    pub(crate) fn raw(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    pub(crate) fn counted(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.uint()?).ok()?;
        self.raw(len)
    }

    pub(crate) fn name(&mut self) -> Option<&'a str> {
        core::str::from_utf8(self.counted()?).ok()
    }

    /// Reads a tag and the value after it.
    pub(crate) fn value(&mut self) -> Option<Value> {
        match self.byte()? {
            I32 => Some(Value::I32(i32::from_le_bytes(self.array()?))),
            I64 => Some(Value::I64(i64::from_le_bytes(self.array()?))),
            _ => None,
        }
    }

    /// Returns `None` if it cannot be read, and `Some(None)` if it is absent.
    pub(crate) fn hash(&mut self) -> Option<Option<[u8; 32]>> {
        if self.bool()? {
            Some(Some(self.array()?))
        } else {
            Some(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_round_trip_and_have_one_encoding(value: u64, bytes: [u8; 11]) {
            let mut writer = Writer::default();
            writer.uint(value);
            let mut reader = Reader::new(&writer.bytes);
            prop_assert_eq!(reader.uint(), Some(value));
            prop_assert!(reader.rest.is_empty());

            let mut reader = Reader::new(&bytes);
            if let Some(value) = reader.uint() {
                let mut writer = Writer::default();
                writer.uint(value);
                prop_assert_eq!(&writer.bytes[..], &bytes[..bytes.len() - reader.rest.len()]);
            }
        }
    }

    #[test]
    fn other_encodings_are_rejected() {
        assert_eq!(Reader::new(&[0x80, 0]).uint(), None);
        assert_eq!(Reader::new(&[0x80]).uint(), None);
        assert_eq!(Reader::new(&[0xff; 10]).uint(), None);
        assert_eq!(Reader::new(&[2]).bool(), None);
        assert_eq!(Reader::new(&[1, 0xff]).name(), None);
        assert_eq!(Reader::new(&[2, 0]).name(), None);
    }
}
