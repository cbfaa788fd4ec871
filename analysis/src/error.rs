//! Why a module could not be read.

use core::fmt;

/// Why a module could not be read, and where in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    kind: ParseErrorKind,
    offset: u64,
}

impl ParseError {
    #[cold]
    pub(crate) const fn new(kind: ParseErrorKind, offset: u64) -> Self {
        Self { kind, offset }
    }

    /// What is wrong.
    pub const fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// Where: a byte offset in the input.
    ///
    /// For a module that is nested in a component, counted from the start of the
    /// component.
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}

/// The reasons [`ParseError`] can report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The bytes are not a well-formed WebAssembly binary, as far as it was read.
    Malformed,
    /// The input ends inside a section.
    Truncated,
    /// The input is a component where a core module is wanted.
    Component,
    /// A section stands behind one that must follow it, or appears twice.
    SectionOrder,
    /// A data segment names a memory that the module does not have.
    UnknownMemory {
        /// Position of the segment in the data section.
        segment: u32,
        /// The memory index that the segment names.
        memory: u32,
    },
    /// An offset expression or global initialiser names a global that is not
    /// defined before it.
    UnknownGlobal {
        /// The global index that the expression names.
        global: u32,
    },
    /// A constant expression has an instruction, a type or a stack that the
    /// specification does not allow there.
    InvalidExpr,
    /// The type of a memory is outside what the specification allows.
    InvalidMemoryType {
        /// The index of the memory.
        memory: u32,
    },
    /// The data count section and the data section disagree.
    DataCount {
        /// What the data count section says.
        declared: u32,
        /// How many segments there are.
        found: u32,
    },
    /// More of something than any engine accepts; see [`limits`](crate::limits).
    TooMany {
        /// Of what.
        what: Limited,
    },
}

/// What [`ParseErrorKind::TooMany`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limited {
    /// Data segments: [`limits::MAX_DATA_SEGMENTS`](crate::limits::MAX_DATA_SEGMENTS).
    DataSegments,
    /// Memories: [`limits::MAX_MEMORIES`](crate::limits::MAX_MEMORIES).
    Memories,
    /// Globals: [`limits::MAX_GLOBALS`](crate::limits::MAX_GLOBALS).
    Globals,
    /// Imports: [`limits::MAX_IMPORTS`](crate::limits::MAX_IMPORTS).
    Imports,
    /// Operands of a constant expression: [`limits::MAX_EXPR_DEPTH`](crate::limits::MAX_EXPR_DEPTH).
    ExprOperands,
    /// Nested core modules: [`limits::MAX_MODULES`](crate::limits::MAX_MODULES).
    Modules,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at offset {:#x})", self.kind, self.offset)
    }
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Malformed => f.write_str("malformed WebAssembly binary"),
            Self::Truncated => f.write_str("unexpected end of input"),
            Self::Component => f.write_str("a component, not a core module"),
            Self::SectionOrder => f.write_str("section out of order"),
            Self::UnknownMemory { segment, memory } => {
                write!(
                    f,
                    "data segment {segment} names memory {memory}, which does not exist"
                )
            }
            Self::UnknownGlobal { global } => {
                write!(
                    f,
                    "constant expression names global {global}, which is not defined before it"
                )
            }
            Self::InvalidExpr => f.write_str("invalid constant expression"),
            Self::InvalidMemoryType { memory } => write!(f, "memory {memory} has an invalid type"),
            Self::DataCount { declared, found } => {
                write!(
                    f,
                    "data count section declares {declared} segments, found {found}"
                )
            }
            Self::TooMany { what } => write!(f, "too many {what}"),
        }
    }
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DataSegments => "data segments",
            Self::Memories => "memories",
            Self::Globals => "globals",
            Self::Imports => "imports",
            Self::ExprOperands => "operands in a constant expression",
            Self::Modules => "nested modules",
        })
    }
}

impl core::error::Error for ParseError {}
