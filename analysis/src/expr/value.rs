//! Integers, the values that offset expressions compute.

use core::fmt;

use crate::IndexType;

/// The value of an integer global.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Value {
    /// An `i32`.
    I32(i32),
    /// An `i64`.
    I64(i64),
}

impl Value {
    /// Returns the value as an address in a memory of that index type, or `None` if the
    /// types differ.
    ///
    /// 32-bit values are zero-extended: `i32.const -1` is address `0xffff_ffff`.
    pub fn address(self, index_type: IndexType) -> Option<u64> {
        match (self, index_type) {
            (Self::I32(value), IndexType::I32) => Some(u64::from(value.cast_unsigned())),
            (Self::I64(value), IndexType::I64) => Some(value.cast_unsigned()),
            _ => None,
        }
    }
}

/// Writes the number in decimal, without its type: `-8`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I32(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
        }
    }
}

/// The type of an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
}

impl Value {
    /// Returns the type of the value.
    pub const fn ty(self) -> ValueType {
        match self {
            Self::I32(_) => ValueType::I32,
            Self::I64(_) => ValueType::I64,
        }
    }
}
