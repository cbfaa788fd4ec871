//! Errors.

use core::error::Error;
use core::fmt;

use wasm_meminit_apply::image_builder::DecodeError;
use wasm_meminit_apply::{AcquireError, IndexType, MemoryIndex, MemoryType};

/// Why an instantiation got no memory.
///
/// The methods that instantiate return a [`wasmtime::Error`], from which it can be obtained:
///
/// ```
/// use wasm_meminit_wasmtime::{AcquireError, MemoryError};
///
/// fn is_full(err: &wasmtime::Error) -> bool {
///     let full = |it: &MemoryError| matches!(it, MemoryError::Acquire(AcquireError::Exhausted { .. }));
///     err.downcast_ref().is_some_and(full)
/// }
/// # assert!(!is_full(&wasmtime::Error::msg("another error")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryError {
    /// All memories are in use, the memory is larger than the reservation, or the system refused.
    Acquire(AcquireError),
    /// The engine requested a memory of another type than the module's next one: something else
    /// was instantiated in between. See [`Memories::zeroed`](crate::Memories::zeroed).
    OtherType {
        /// The position of the module's memory among those that it defines.
        index: usize,
        /// The module's memory.
        expected: MemoryType,
        /// What was requested.
        found: MemoryType,
    },
    /// The engine requested more memories than the module has: something else was instantiated
    /// in between. See [`Memories::zeroed`](crate::Memories::zeroed).
    Unexpected {
        /// What was requested.
        found: MemoryType,
    },
    /// The instance was created without requesting all of its memories. It must not be used: they
    /// lack their data.
    NotRequested {
        /// How many memories were requested.
        requested: usize,
        /// How many memories the module has.
        expected: usize,
    },
    /// Compiled code relies on another reservation or guard than the pool's.
    OtherConfig {
        /// The requested reservation in bytes.
        reservation: u64,
        /// The requested guard in bytes.
        guard: u64,
    },
    /// Memories have no guards on this system, and move when they grow
    /// ([`MemorySlot::HAS_GUARDS`](crate::apply::MemorySlot::HAS_GUARDS)), but compiled code relies
    /// on both. [`Memories::engine`](crate::Memories::engine) returns it, so that no memory is
    /// even requested, and [`Memories::adopt`](crate::Memories::adopt) too.
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
                "the engine requested {} instead of memory {index} of the module, {}: was another \
                 module instantiated by a resource limiter or an epoch callback?",
                Described(found),
                Described(expected)
            ),
            Self::Unexpected { found } => write!(
                f,
                "the engine requested {}, but the module has no further memory: was another \
                 module instantiated by a resource limiter or an epoch callback?",
                Described(found)
            ),
            Self::NotRequested {
                requested,
                expected,
            } => write!(
                f,
                "the engine requested {requested} of the module's {expected} memories from the pool"
            ),
            Self::OtherConfig { reservation, guard } => write!(
                f,
                "the engine requested a reservation of {reservation:#x} bytes and a guard of \
                 {guard:#x}, which are not the pool's"
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

impl From<AcquireError> for MemoryError {
    fn from(err: AcquireError) -> Self {
        Self::Acquire(err)
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
        write!(f, " pages of {} bytes", self.0.page_size.bytes())
    }
}

/// Why an engine cannot take its memories from a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineMismatch {
    /// A setting differs from what [`Memories::configure`](crate::Memories::configure) sets.
    Setting {
        /// The name of the method of [`wasmtime::Config`].
        setting: &'static str,
        /// The engine's value.
        found: u64,
        /// The pool's value.
        expected: u64,
    },
    /// The engine's memories come from elsewhere: another creator, or its pooling allocator.
    OtherMemories,
}

impl fmt::Display for EngineMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting {
                setting,
                found,
                expected,
            } => write!(
                f,
                "the engine's {setting} is {found:#x}, but its memories need {expected:#x}"
            )?,
            Self::OtherMemories => {
                f.write_str("the engine takes its memories from elsewhere")?;
            }
        }
        f.write_str("\nhint: create it with `Memories::engine`")
    }
}

impl Error for EngineMismatch {}

/// Why a serialised module or component could not be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The file was not written by [`Prepared::precompile`](crate::Prepared::precompile).
    NotPrepared,
    /// The file was not written by `PreparedComponent::precompile`.
    NotPreparedComponent,
    /// It was written by another version of this crate.
    Version {
        /// The version of the file's format.
        found: u32,
        /// The version that this crate reads.
        expected: u32,
    },
    /// The file has another size than its header says.
    Length {
        /// The size in bytes that the header says; `u64::MAX` if it is even larger.
        expected: u64,
        /// The size in bytes.
        found: u64,
    },
    /// The file is damaged.
    Checksum,
    /// The images are damaged.
    Artifact(DecodeError),
    /// An image could not be made.
    Images(wasm_meminit_apply::PrepareError),
    /// A memory is larger than those of the pool can be.
    TooLarge {
        /// The memory.
        memory: MemoryIndex,
        /// Its initial size in bytes.
        bytes: u64,
        /// The reservation of the pool in bytes.
        max_bytes: u64,
    },
    /// The parts of the file do not belong together.
    Inconsistent,
    /// wasmtime refused the compiled code: it was compiled by another version, or for another
    /// configuration.
    Engine(wasmtime::Error),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPrepared => f.write_str("not a prepared module"),
            Self::NotPreparedComponent => f.write_str("not a prepared component"),
            Self::Version { found, expected } => write!(
                f,
                "the prepared module has format version {found}, expected {expected}"
            ),
            Self::Length { expected, found } => write!(
                f,
                "the prepared module has {found} bytes, but its header says {expected}"
            ),
            Self::Checksum => f.write_str("the prepared module is damaged: wrong checksum"),
            Self::Artifact(err) => write!(f, "the images of the prepared module: {err}"),
            Self::Images(err) => err.fmt(f),
            Self::TooLarge {
                memory,
                bytes,
                max_bytes,
            } => write!(
                f,
                "memory {} starts with {bytes:#x} bytes, but the pool reserves {max_bytes:#x}",
                memory.as_u32()
            ),
            Self::Inconsistent => {
                f.write_str("the images of the prepared module belong to other code")
            }
            Self::Engine(err) => write!(f, "{err:#}"),
        }
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Artifact(err) => err.source(),
            Self::Images(err) => err.source(),
            _ => None,
        }
    }
}
