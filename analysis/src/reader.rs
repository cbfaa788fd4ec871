//! Reads LEB128 integers and single bytes from a slice, without panics.
//!
//! Core specification, "Binary Format / Values": at most `ceil(N / 7)` bytes, and
//! the unused bits of the last one are a sign extension.

/// A cursor over borrowed bytes. Every read returns `None` at the end of input or for an
/// encoding that the specification does not allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    #[cfg(feature = "parse")]
    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    #[inline]
    pub(crate) fn var_u32(&mut self) -> Option<u32> {
        let mut value = 0_u32;
        for shift in [0_u32, 7, 14, 21, 28] {
            let byte = self.byte()?;
            if shift == 28 && byte > 0x0f {
                return None;
            }
            value |= u32::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn var_s32(&mut self) -> Option<i32> {
        i32::try_from(self.var_signed(32)?).ok()
    }

    pub(crate) fn var_s64(&mut self) -> Option<i64> {
        self.var_signed(64)
    }

    /// Reads a signed integer of at most `ceil(bits / 7)` bytes, and sign-extends it. For 32
    /// bits, the caller checks the range: the unused bits of the fifth byte fit in the result.
    #[inline]
    fn var_signed(&mut self, bits: u32) -> Option<i64> {
        let mut value = 0_i64;
        let mut shift = 0_u32;
        while shift < bits {
            let byte = self.byte()?;
            value |= i64::from(byte & 0x7f).wrapping_shl(shift);
            shift = shift.saturating_add(7);
            if byte & 0x80 == 0 {
                // Of the tenth byte, one bit is used.
                if 64 < shift && byte != 0 && byte != 0x7f {
                    return None;
                }
                let unused = 64_u32.saturating_sub(shift);
                return Some(value.wrapping_shl(unused).wrapping_shr(unused));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Signed LEB128 of minimal length.
    fn leb(mut value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let byte = u8::try_from(value & 0x7f).unwrap();
            value >>= 7;
            let done = (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0);
            out.push(if done { byte } else { byte | 0x80 });
            if done {
                return out;
            }
        }
    }

    proptest! {
        #[test]
        fn signed_integers_round_trip(value: i64, small: i32) {
            prop_assert_eq!(Reader::new(&leb(value)).var_s64(), Some(value));
            prop_assert_eq!(Reader::new(&leb(small.into())).var_s32(), Some(small));
        }

        /// Compares with wasmparser, an independent reader of the same format.
        #[cfg(feature = "parse")]
        #[test]
        fn reads_agree_with_wasmparser(bytes: [u8; 11]) {
            let theirs = || wasmparser::BinaryReader::new(&bytes, 0);
            prop_assert_eq!(Reader::new(&bytes).var_u32(), theirs().read_var_u32().ok());
            prop_assert_eq!(Reader::new(&bytes).var_s32(), theirs().read_var_i32().ok());
            prop_assert_eq!(Reader::new(&bytes).var_s64(), theirs().read_var_i64().ok());
        }
    }

    /// Of the last byte that an integer may have, some bits are unused.
    #[cfg(feature = "parse")]
    #[test]
    fn the_longest_encodings_agree_with_wasmparser() {
        for fill in [0x80, 0xff] {
            for (n, last) in (0..=255).flat_map(|last| [(4, last), (9, last)]) {
                let mut bytes = alloc::vec![fill; n];
                bytes.push(last);
                let theirs = || wasmparser::BinaryReader::new(&bytes, 0);
                let ours = || Reader::new(&bytes);
                assert_eq!(ours().var_u32(), theirs().read_var_u32().ok(), "{bytes:x?}");
                assert_eq!(ours().var_s32(), theirs().read_var_i32().ok(), "{bytes:x?}");
                assert_eq!(ours().var_s64(), theirs().read_var_i64().ok(), "{bytes:x?}");
            }
        }
    }

    #[test]
    fn overlong_and_truncated_encodings_are_rejected() {
        assert_eq!(Reader::new(&[0x80]).var_u32(), None);
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).var_u32(), None);
        assert_eq!(
            Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]).var_u32(),
            None
        );
        assert_eq!(Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x70]).var_s32(), None);
    }
}
