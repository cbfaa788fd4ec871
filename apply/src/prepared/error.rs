//! Why a module could not be prepared, or an instance's memories not be initialised.

use core::fmt;

use wasm_meminit_image_builder::analysis::{
    Assumption, DataIndex, EvalError, GlobalIndex, IndexType, InitError, MemoryIndex, Value,
};

use super::host::HostHas;
use crate::error::{ImageError, MemoryTooSmall, SlotError};
#[cfg(feature = "std")]
use crate::pool::AcquireError;

/// Why a [`PreparedModule`](crate::PreparedModule) could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrepareError {
    /// The artifact was built for another host: its images would be wrong here.
    Assumption {
        /// What the artifact assumes, with the import's name.
        assumed: Assumption,
        /// What this host has instead.
        found: HostHas,
    },
    /// The image of a memory could not be made.
    Image {
        /// The memory.
        memory: MemoryIndex,
        /// Why.
        error: ImageError,
    },
    /// The image of a memory ends past the size that the module declares.
    DoesNotFit {
        /// The memory.
        memory: MemoryIndex,
        /// Both sizes.
        error: MemoryTooSmall,
    },
    /// The offset of a segment to replay cannot be evaluated, whatever the values of
    /// globals.
    Offset {
        /// The segment.
        segment: DataIndex,
        /// Why.
        error: EvalError,
    },
    /// The allocator has no room for the segments to replay.
    OutOfMemory,
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assumption { assumed, found } => write!(
                f,
                "the artifact assumes: {assumed}; this host {found}\nhint: build the artifact again with what this host supplies"
            ),
            Self::Image { memory, error } => {
                write!(f, "image of memory {}: {error}", memory.as_u32())
            }
            Self::DoesNotFit { memory, error } => {
                write!(f, "memory {}: {error}", memory.as_u32())
            }
            Self::Offset { segment, error } => {
                write!(f, "offset of data segment {}: {error}", segment.as_u32())
            }
            Self::OutOfMemory => f.write_str("no room for the segments to replay"),
        }
    }
}

impl core::error::Error for PrepareError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Image { error, .. } => Some(error),
            Self::DoesNotFit { error, .. } => Some(error),
            Self::Offset { error, .. } => Some(error),
            Self::Assumption { .. } | Self::OutOfMemory => None,
        }
    }
}

/// Why [`PreparedModule::instantiate`](crate::PreparedModule::instantiate) did not
/// initialise all memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstantiateError {
    /// The module has more memories, or fewer.
    MemoryCount {
        /// How many the module has.
        expected: usize,
        /// How many the host gave.
        given: usize,
    },
    /// A memory is smaller than the module declares: for an imported one, what the
    /// specification calls a link error.
    TooSmall {
        /// The memory.
        memory: MemoryIndex,
        /// The size that the module declares, in bytes.
        min_bytes: u64,
        /// The size of the host's memory, or the one that it asked for, in bytes.
        bytes: u64,
    },
    /// A slot of a pool was not acquired with the image of this memory.
    WrongImage {
        /// The memory.
        memory: MemoryIndex,
    },
    /// The host gave no value for a global that an offset names, or one of another type.
    Global {
        /// The global.
        global: GlobalIndex,
        /// The type that the value has to have: that of addresses.
        expected: IndexType,
        /// The value that was given, if any.
        found: Option<Value>,
    },
    /// The host gave another value for a global than the one that the images were built
    /// for.
    AssumedGlobal {
        /// The global.
        global: GlobalIndex,
        /// The value that the images were built for.
        assumed: Value,
        /// The value that was given.
        found: Value,
    },
    /// A slot did not start.
    Slot {
        /// The memory.
        memory: MemoryIndex,
        /// Why.
        error: SlotError,
    },
    /// A pool handed out no slot.
    #[cfg(feature = "std")]
    Acquire {
        /// The memory.
        memory: MemoryIndex,
        /// Why.
        error: AcquireError,
    },
    /// A segment could not be written: a trap, if it does not fit its memory.
    Segment(InitError),
}

impl InstantiateError {
    /// Whether the program traps, at the segment that [`Segment`](Self::Segment) names.
    /// Everything else is the host's to mend.
    pub const fn is_trap(&self) -> bool {
        matches!(self, Self::Segment(error) if error.is_trap())
    }
}

impl fmt::Display for InstantiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryCount { expected, given } => {
                write!(f, "the module has {expected} memories, {given} were given")
            }
            Self::TooSmall {
                memory,
                min_bytes,
                bytes,
            } => write!(
                f,
                "memory {} has {bytes} bytes, the module declares at least {min_bytes}",
                memory.as_u32()
            ),
            Self::WrongImage { memory } => write!(
                f,
                "the slot for memory {} was not acquired with its image",
                memory.as_u32()
            ),
            Self::Global {
                global,
                expected,
                found,
            } => {
                let expected = match expected {
                    IndexType::I32 => "i32",
                    IndexType::I64 => "i64",
                };
                write!(f, "global {} needs a value of type ", global.as_u32())?;
                match found {
                    Some(found) => write!(f, "{expected}, found {found:?}"),
                    None => write!(f, "{expected}, none was given"),
                }
            }
            Self::AssumedGlobal {
                global,
                assumed,
                found,
            } => write!(
                f,
                "global {} is {found}, the images were built for {assumed}",
                global.as_u32()
            ),
            Self::Slot { memory, error } => write!(f, "memory {}: {error}", memory.as_u32()),
            #[cfg(feature = "std")]
            Self::Acquire { memory, error } => write!(f, "memory {}: {error}", memory.as_u32()),
            Self::Segment(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for InstantiateError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Slot { error, .. } => Some(error),
            #[cfg(feature = "std")]
            Self::Acquire { error, .. } => Some(error),
            Self::Segment(error) => Some(error),
            _ => None,
        }
    }
}

impl From<InitError> for InstantiateError {
    fn from(error: InitError) -> Self {
        Self::Segment(error)
    }
}
