//! Errors of parsing and building modules.

use core::fmt;

/// Error for a module that could not be read, with the byte offset.
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

    /// Returns what is wrong.
    pub const fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// Returns the byte offset in the input at which the error was found.
    ///
    /// For a module nested in a component, the offset is from the start of the component.
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}

/// The kinds of [`ParseError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The bytes that were read are not a well-formed WebAssembly binary.
    Malformed,
    /// The input ends inside a section.
    Truncated,
    /// The input is a component, but a core module was expected.
    Component,
    /// Sections are out of order, or a section appears twice.
    SectionOrder,
    /// A data segment names a memory that the module does not have.
    UnknownMemory {
        /// The index of the segment.
        segment: u32,
        /// The memory index that the segment names.
        memory: u32,
    },
    /// An offset expression or global initialiser names a global that does not exist or is
    /// defined later.
    UnknownGlobal {
        /// The global index that the expression names.
        global: u32,
    },
    /// A constant expression contains an instruction that is not allowed, or is ill-typed.
    InvalidExpr,
    /// The type of a memory is invalid.
    InvalidMemoryType {
        /// The index of the memory.
        memory: u32,
    },
    /// The data count section and the data section disagree.
    DataCount {
        /// The count in the data count section.
        declared: u32,
        /// The number of segments.
        found: u32,
    },
    /// The module exceeds a limit that all engines share; see [`limits`](crate::limits).
    TooMany {
        /// What there is too much of.
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
            Self::Component => f.write_str("expected a core module, found a component"),
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
