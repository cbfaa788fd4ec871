//! Errors of preparing a module and of initialising an instance's memories.

use core::fmt;

use wasm_meminit_image_builder::analysis::{
    Assumption, DataIndex, EvalError, GlobalIndex, IndexType, InitError, MemoryIndex,
    StartFunction, Value, ValueType,
};

use crate::error::{ImageError, MemoryTooSmall, SlotError};
#[cfg(feature = "std")]
use crate::pool::AcquireError;

/// Why a [`PreparedModule`](crate::PreparedModule) could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrepareError {
    /// The artifact was built for a different host: its images would be wrong here.
    Assumption {
        /// The assumption, with the import's name.
        assumed: Assumption,
        /// What this host provides instead.
        found: HostHas,
    },
    /// The image of a memory could not be created.
    Image {
        /// The memory.
        memory: MemoryIndex,
        /// The cause.
        error: ImageError,
    },
    /// The image of a memory ends past the size that the module declares.
    DoesNotFit {
        /// The memory.
        memory: MemoryIndex,
        /// Both sizes.
        error: MemoryTooSmall,
    },
    /// The offset of a segment to replay cannot be evaluated, whatever values the globals
    /// have.
    Offset {
        /// The segment.
        segment: DataIndex,
        /// The cause.
        error: EvalError,
    },
    /// Allocation failed for the segments to replay.
    OutOfMemory,
}

/// What a [`Host`](crate::Host) provides where an artifact assumes something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostHas {
    /// The host did not say.
    Unstated,
    /// A global with this value.
    Value(Value),
    /// A memory of this size, with any contents.
    Memory {
        /// Its size in bytes.
        bytes: u64,
    },
    /// A fresh memory of this size.
    FreshMemory {
        /// Its size in bytes.
        bytes: u64,
    },
    /// A start function that it treats this way.
    StartFunction(StartFunction),
}

/// Returns a type's name in the text format.
const fn name_of(ty: ValueType) -> &'static str {
    match ty {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
    }
}

impl fmt::Display for HostHas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstated => f.write_str("does not say"),
            Self::Value(value) => write!(f, "has {value}"),
            Self::Memory { bytes } => write!(f, "has {bytes} bytes of any contents"),
            Self::FreshMemory { bytes } => write!(f, "has {bytes} bytes of zeros"),
            Self::StartFunction(start) => write!(f, "says that {start}"),
        }
    }
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assumption { assumed, found } => {
                write!(
                    f,
                    "the artifact assumes that {assumed}, but this host {found}"
                )?;
                if let (Assumption::GlobalValue { value, .. }, HostHas::Value(found)) =
                    (assumed, found)
                    && value.ty() != found.ty()
                {
                    let (found, value) = (name_of(found.ty()), name_of(value.ty()));
                    write!(f, " of type {found}, not {value}")?;
                }
                let unstated = match found {
                    HostHas::Unstated => "if it holds, state it in the `Host`; else ",
                    _ => "",
                };
                write!(
                    f,
                    "\nhint: {unstated}rebuild the artifact for what this host supplies"
                )
            }
            Self::Image { memory, error } => {
                write!(f, "image of memory {}: {error}", memory.as_u32())
            }
            Self::DoesNotFit { memory, error } => {
                write!(f, "memory {}: {error}", memory.as_u32())
            }
            Self::Offset { segment, error } => {
                write!(f, "offset of data segment {}: {error}", segment.as_u32())
            }
            Self::OutOfMemory => f.write_str("allocation failed for the data segments to replay"),
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

/// Why [`PreparedModule::instantiate`](crate::PreparedModule::instantiate) could not
/// initialise all memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstantiateError {
    /// The number of memories differs from the module's.
    MemoryCount {
        /// The number of memories in the module.
        expected: usize,
        /// The number of memories that the host passed.
        given: usize,
    },
    /// A memory is smaller than the module declares: for an imported one, a link error in
    /// the terms of the specification.
    TooSmall {
        /// The memory.
        memory: MemoryIndex,
        /// The size that the module declares, in bytes.
        min_bytes: u64,
        /// The size of the host's memory, or the requested size, in bytes.
        bytes: u64,
    },
    /// A pooled slot was not acquired with the image of this memory.
    WrongImage {
        /// The memory.
        memory: MemoryIndex,
    },
    /// The host provided no value for a global that an offset refers to, or one of
    /// another type.
    Global {
        /// The global.
        global: GlobalIndex,
        /// The required type of the value: that of addresses.
        expected: IndexType,
        /// The value that was provided, if any.
        found: Option<Value>,
    },
    /// The host provided a different value for a global than the one that the images were
    /// built for.
    AssumedGlobal {
        /// The global.
        global: GlobalIndex,
        /// The value that the images were built for.
        assumed: Value,
        /// The value that was provided.
        found: Value,
    },
    /// A slot failed to start.
    Slot {
        /// The memory.
        memory: MemoryIndex,
        /// The cause.
        error: SlotError,
    },
    /// A pool could not provide a slot.
    #[cfg(feature = "std")]
    Acquire {
        /// The memory.
        memory: MemoryIndex,
        /// The cause.
        error: AcquireError,
    },
    /// A segment could not be written; a trap, if it does not fit its memory.
    Segment(InitError),
}

impl InstantiateError {
    /// Returns whether the program traps, at the segment that [`Segment`](Self::Segment)
    /// names. All other errors are for the host to fix.
    pub const fn is_trap(&self) -> bool {
        matches!(self, Self::Segment(error) if error.is_trap())
    }
}

impl fmt::Display for InstantiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryCount { expected, given } => {
                let memories = if *expected == 1 { "memory" } else { "memories" };
                let were = if *given == 1 { "was" } else { "were" };
                write!(
                    f,
                    "the module has {expected} {memories}, but {given} {were} passed"
                )
            }
            Self::TooSmall {
                memory,
                min_bytes,
                bytes,
            } => write!(
                f,
                "memory {} has {bytes} bytes, but the module declares at least {min_bytes}",
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
                    Some(found) => {
                        write!(
                            f,
                            "{expected}, found {found} of type {}",
                            name_of(found.ty())
                        )
                    }
                    None => write!(f, "{expected}, but none was provided"),
                }
            }
            Self::AssumedGlobal {
                global,
                assumed,
                found,
            } => {
                let global = global.as_u32();
                if assumed.ty() == found.ty() {
                    return write!(
                        f,
                        "global {global} is {found}, but the images were built for {assumed}"
                    );
                }
                write!(
                    f,
                    "global {global} is {found} of type {}, but the images were built for \
                     {assumed} of type {}",
                    name_of(found.ty()),
                    name_of(assumed.ty())
                )
            }
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
