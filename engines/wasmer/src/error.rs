//! Errors.

use core::error::Error;
use core::fmt;

use wasm_meminit_analysis::{ParseError, ParseErrorKind};
use wasm_meminit_apply::image_builder::DecodeError;
use wasm_meminit_apply::{AcquireError, IndexType, MemoryIndex, MemoryType};
use wasm_meminit_image_builder::rewrite::RewriteError;
use wasm_meminit_image_builder::{BuildError, EncodeError};
use wasmer::MemoryStyle;

/// Why a module could not be prepared.
#[derive(Debug)]
#[non_exhaustive]
pub enum PrepareError {
    /// The module is malformed.
    Parse(ParseError),
    /// A memory has a type that wasmer does not implement.
    Unsupported {
        /// The memory.
        memory: MemoryIndex,
        /// What is not implemented.
        unsupported: Unsupported,
    },
    /// An image is too large.
    Build(BuildError),
    /// The images cannot be encoded.
    Encode(EncodeError),
    /// The images cannot be decoded.
    Decode(DecodeError),
    /// An image could not be made, or the policy assumes what only the host knows.
    Images(wasm_meminit_apply::PrepareError),
    /// The module's data cannot be removed, or its memories cannot be
    /// [provided](crate::MemoryImports::Provide).
    Rewrite(RewriteError),
    /// wasmer rejected the module.
    Compile(wasmer::CompileError),
}

/// What wasmer does not implement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// 64-bit memories.
    Memory64,
    /// Pages of another size than 64 KiB.
    PageSize,
}

const CONVERT_TEXT: &str =
    "\nhint: the text format must be converted first, for instance by `wat::parse_str`";

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(err) => {
                err.fmt(f)?;
                match err.kind() {
                    ParseErrorKind::Malformed if err.offset() == 0 => f.write_str(CONVERT_TEXT),
                    _ => Ok(()),
                }
            }
            Self::Unsupported {
                memory,
                unsupported,
            } => {
                let what = match unsupported {
                    Unsupported::Memory64 => "64-bit memories",
                    Unsupported::PageSize => "custom page sizes",
                };
                let memory = memory.as_u32();
                write!(f, "memory {memory}: wasmer does not implement {what}")
            }
            Self::Build(err) => err.fmt(f),
            Self::Encode(err) => err.fmt(f),
            Self::Decode(err) => err.fmt(f),
            Self::Images(err) => err.fmt(f),
            Self::Rewrite(err) => err.fmt(f),
            Self::Compile(err) => err.fmt(f),
        }
    }
}

impl Error for PrepareError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Parse(err) => err.source(),
            Self::Build(err) => err.source(),
            Self::Encode(err) => err.source(),
            Self::Decode(err) => err.source(),
            Self::Images(err) => err.source(),
            Self::Rewrite(err) => err.source(),
            Self::Compile(err) => err.source(),
            Self::Unsupported { .. } => None,
        }
    }
}

/// Why a module could not be instantiated.
#[derive(Debug)]
#[non_exhaustive]
pub enum InstantiateError {
    /// The store belongs to another engine than the prepared module.
    OtherEngine,
    /// A memory could not be created.
    Memory(MemoryError),
    /// wasmer's error, such as a trap, or an import that is missing.
    Wasmer(Box<wasmer::InstantiationError>),
}

impl InstantiateError {
    /// Returns the error of the data segment, element segment, start function or host function
    /// that ended the instantiation, if one did.
    pub fn as_runtime_error(&self) -> Option<&wasmer::RuntimeError> {
        match self {
            Self::Wasmer(err) => match &**err {
                wasmer::InstantiationError::Start(err) => Some(err),
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for InstantiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherEngine => {
                f.write_str("the store belongs to another engine than the prepared module")
            }
            Self::Memory(err) => err.fmt(f),
            Self::Wasmer(err) => err.fmt(f),
        }
    }
}

impl Error for InstantiateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::OtherEngine => None,
            Self::Memory(err) => err.source(),
            Self::Wasmer(err) => err.source(),
        }
    }
}

impl From<MemoryError> for InstantiateError {
    fn from(err: MemoryError) -> Self {
        Self::Memory(err)
    }
}

impl From<wasmer::InstantiationError> for InstantiateError {
    fn from(err: wasmer::InstantiationError) -> Self {
        Self::Wasmer(Box::new(err))
    }
}

/// Why an instantiation got no memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryError {
    /// All memories are in use, or the system refused.
    Acquire(AcquireError),
    /// The engine requested a memory of another type than the module's next one.
    OtherType {
        /// The position of the module's memory among those that it defines.
        index: usize,
        /// The module's memory.
        expected: MemoryType,
        /// What was requested.
        found: MemoryType,
    },
    /// The instance was created without requesting all of its memories: the tunables of the
    /// store's engine were replaced. It must not be used, as its memories lack their data.
    NotRequested {
        /// How many memories were requested.
        requested: usize,
        /// How many memories the module has.
        expected: usize,
    },
    /// The code was compiled for memories of another style than
    /// [`MemoryStyle::Static`], by another engine.
    OtherStyle {
        /// The requested style.
        style: MemoryStyle,
    },
    /// Memories have no guards on this system, and move when they grow
    /// ([`MemorySlot::HAS_GUARDS`](crate::apply::MemorySlot::HAS_GUARDS)), but compiled code relies
    /// on both. [`Memories::engine`](crate::Memories::engine) returns it, so that no memory is
    /// even requested.
    NoGuards,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acquire(err) => err.fmt(f),
            Self::OtherType {
                index,
                expected,
                found,
            } => write!(
                f,
                "the engine requested {} instead of memory {index} of the module, {}",
                Described(found),
                Described(expected)
            ),
            Self::NotRequested {
                requested,
                expected,
            } => write!(
                f,
                "the engine requested {requested} of the module's {expected} memories from the \
                 pool\nhint: set the tunables before `Memories::engine`, not after it"
            ),
            Self::OtherStyle { style } => write!(
                f,
                "the code was compiled for memories of style {style:?}, but the pool has static ones"
            ),
            Self::NoGuards => f.write_str(
                "compiled code relies on guards and on memories that never move, but this system \
                 has neither: it cannot map memories\nhint: use Linux or another Unix",
            ),
        }
    }
}

impl Error for MemoryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Acquire(err) => err.source(),
            _ => None,
        }
    }
}

/// Writes `a 32-bit memory of 1 to 10 pages`.
struct Described<'a>(&'a MemoryType);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = if self.0.shared { "shared " } else { "" };
        let bits = match self.0.index_type {
            IndexType::I32 => 32,
            IndexType::I64 => 64,
        };
        write!(f, "a {shared}{bits}-bit memory of {}", self.0.min)?;
        if let Some(max) = self.0.max {
            write!(f, " to {max}")?;
        }
        f.write_str(" pages")
    }
}
