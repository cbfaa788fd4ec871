//! The items of a module: its memories, globals and data segments.

use crate::MemoryIndex;
use crate::expr::offset_expr::OffsetExpr;
use crate::expr::value::{Value, ValueType};
use crate::memory_type::MemoryType;

/// One linear memory of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory<'a> {
    /// Its type. For an imported memory, the type that the import must match.
    pub ty: MemoryType,
    /// The name that it is imported under; `None` if the module defines it.
    pub import: Option<ImportName<'a>>,
}

/// The two-level name of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImportName<'a> {
    /// The module name.
    pub module: &'a str,
    /// The field name.
    pub name: &'a str,
}

/// One global, as seen by offset expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// An immutable integer whose value is known before instantiation.
    Known(Value),
    /// An immutable integer of this type whose value is not known.
    Unknown(ValueType),
    /// Mutable, or not an integer: no offset expression may name it.
    Unusable,
}

impl Global {
    /// Returns its type; `None` if no offset expression can name it.
    pub const fn ty(&self) -> Option<ValueType> {
        match self {
            Self::Known(value) => Some(value.ty()),
            Self::Unknown(ty) => Some(*ty),
            Self::Unusable => None,
        }
    }
}

/// One data segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Its bytes, borrowed from the module.
    pub data: &'a [u8],
    /// When and where the bytes are written.
    pub mode: SegmentMode<'a>,
}

/// When and where a data segment is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentMode<'a> {
    /// Written by the engine at instantiation.
    Active {
        /// The memory that it is written to.
        memory_index: MemoryIndex,
        /// The address of its first byte.
        offset: OffsetExpr<'a>,
    },
    /// Written by the program with `memory.init`, if at all.
    Passive,
}
