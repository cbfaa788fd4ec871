//! Why a segment is not in an image: data, to be printed and stored.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tagged::tagged;
use crate::{DataIndex, GlobalIndex, MemoryIndex};

/// A segment that is not in an image, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentReason {
    /// The segment's position among all data segments.
    pub segment: DataIndex,
    /// The memory it goes to; `None` for a passive segment.
    pub memory: Option<MemoryIndex>,
    /// Its length in bytes.
    pub len: u64,
    /// Why.
    pub reason: Reason,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SegmentReason")]
struct Readable {
    segment: DataIndex,
    memory: Option<MemoryIndex>,
    len: u64,
    #[serde(flatten)]
    reason: Reason,
}

/// Compact formats cannot flatten.
#[derive(Serialize, Deserialize)]
#[serde(remote = "SegmentReason")]
struct Compact {
    segment: DataIndex,
    memory: Option<MemoryIndex>,
    len: u64,
    reason: Reason,
}

impl Serialize for SegmentReason {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            Readable::serialize(self, to)
        } else {
            Compact::serialize(self, to)
        }
    }
}

impl<'de> Deserialize<'de> for SegmentReason {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            Readable::deserialize(from)
        } else {
            Compact::deserialize(from)
        }
    }
}

tagged! {
    "Reason"
    /// Why a segment is not in an image.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Reason {
        /// Its memory is imported, so what that holds at the start is not known.
        ImportedMemory,
        /// Its address depends on a global without a certain value.
        DynamicOffset {
            /// The first such global.
            global: GlobalIndex,
        },
        /// Its address is an expression, and the policy takes single constants only.
        NotAConstant,
        /// It ends past the size that its memory is known to have. In a defined memory this
        /// traps.
        OutOfBounds {
            /// The address of its first byte.
            offset: u64,
            /// What the host said of the size, otherwise the declared minimum; in bytes.
            min_bytes: u64,
        },
        /// A segment before it may trap; were this one in place, that would be seen.
        BehindBarrier {
            /// The first segment that may trap.
            barrier: DataIndex,
        },
        /// The module always traps at this segment, so no image is of use.
        AlwaysTraps {
            /// The segment that is certain to be out of bounds.
            at: DataIndex,
        },
        /// The policy takes a module as a whole, and this segment ruled it out.
        AllOrNothing {
            /// The first segment that is not static by itself.
            because: DataIndex,
        },
        /// The policy's rule finds too few data bytes for the span they cover.
        TooSparse {
            /// From lowest to highest address, in bytes.
            span: u64,
            /// Data bytes.
            data_bytes: u64,
        },
        /// The policy refuses memories with wasm pages below the host page.
        PageSize {
            /// The wasm page size in bytes.
            page_size: u64,
        },
        /// The image would have more bytes than the policy allows.
        SizeLimit {
            /// What the image would have, in bytes.
            image_bytes: u64,
            /// What the policy allows, in bytes.
            limit: u64,
        },
        /// The images of this memory and of those before it would have more bytes than the
        /// policy allows for a module.
        ModuleSizeLimit {
            /// What they would have together, in bytes.
            image_bytes: u64,
            /// What the policy allows, in bytes.
            limit: u64,
        },
        /// The memory, or an image of it, would not fit a 64-bit address space.
        TooLarge,
        /// It is passive: the program writes it, if and when it wants.
        Passive,
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ImportedMemory => f.write_str("its memory is imported"),
            Self::DynamicOffset { global } => {
                write!(f, "its address depends on global {}", global.as_u32())
            }
            Self::NotAConstant => f.write_str("its address is not a single constant"),
            Self::OutOfBounds { offset, min_bytes } => {
                write!(
                    f,
                    "at address {offset:#x} it ends past the memory's known size of {min_bytes:#x} bytes"
                )
            }
            Self::BehindBarrier { barrier } => {
                write!(f, "segment {} before it may trap", barrier.as_u32())
            }
            Self::AlwaysTraps { at } => {
                write!(f, "the module always traps at segment {}", at.as_u32())
            }
            Self::AllOrNothing { because } => {
                write!(
                    f,
                    "segment {} is not static, and the policy is all or nothing",
                    because.as_u32()
                )
            }
            Self::TooSparse { span, data_bytes } => {
                write!(f, "too sparse: {data_bytes} data bytes across {span} bytes")
            }
            Self::PageSize { page_size } => {
                write!(f, "wasm pages of {page_size} bytes are below the host page")
            }
            Self::SizeLimit { image_bytes, limit } => {
                write!(
                    f,
                    "an image of {image_bytes} bytes is above the limit of {limit}"
                )
            }
            Self::ModuleSizeLimit { image_bytes, limit } => {
                write!(
                    f,
                    "images of {image_bytes} bytes for the module are above the limit of {limit}"
                )
            }
            Self::TooLarge => f.write_str("too large for a 64-bit address space"),
            Self::Passive => f.write_str("passive: the program writes it"),
        }
    }
}
