//! The reasons why a segment is not part of an image, as data that can be printed and stored.

use core::fmt;

use crate::tagged::tagged;
use crate::{DataIndex, GlobalIndex, MemoryIndex};

/// A segment that is not part of an image, and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentReason {
    /// The index of the segment.
    pub segment: DataIndex,
    /// The memory that it is written to; `None` for a passive segment.
    pub memory: Option<MemoryIndex>,
    /// The length of the segment in bytes.
    pub len: u64,
    /// Why the segment is not part of an image.
    pub reason: Reason,
}

tagged! {
    "Reason"
    /// Why a segment is not part of an image.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Reason {
        /// Its memory is imported, so the initial contents of the memory are not known.
        ImportedMemory,
        /// Its address depends on a global whose value is not known.
        DynamicOffset {
            /// The first such global.
            global: GlobalIndex,
        },
        /// Its address is an expression, and the policy accepts only single constants.
        NotAConstant,
        /// It ends past the known size of its memory. In a defined memory, this
        /// traps.
        OutOfBounds {
            /// The address of its first byte.
            addr: u64,
            /// The size supplied by the host, or else the declared minimum, in bytes.
            min_bytes: u64,
        },
        /// An earlier segment may trap. If it does, this segment must not have been written.
        AfterBarrier {
            /// The first segment that may trap.
            barrier: DataIndex,
        },
        /// The module always traps at this segment, so an image would be useless.
        AlwaysTraps {
            /// The segment that is always out of bounds.
            at: DataIndex,
        },
        /// The policy is all-or-nothing, and another segment is not static.
        AllOrNothing {
            /// The first segment that is not static.
            because: DataIndex,
        },
        /// The data is too sparse for the policy's density rule.
        TooSparse {
            /// The distance in bytes from the lowest to the highest address written.
            span: u64,
            /// The number of data bytes in that span.
            data_bytes: u64,
        },
        /// The policy rejects memories whose wasm pages are smaller than a host page.
        PageSize {
            /// The wasm page size in bytes.
            page_size: u64,
        },
        /// The image would exceed the policy's size limit.
        SizeLimit {
            /// The size of the image in bytes.
            image_bytes: u64,
            /// The policy's limit in bytes.
            limit: u64,
        },
        /// The images of this memory and of the memories before it would exceed the policy's
        /// size limit for a module.
        ModuleSizeLimit {
            /// Their total size in bytes.
            image_bytes: u64,
            /// The policy's limit in bytes.
            limit: u64,
        },
        /// The memory, or an image of it, would not fit a 64-bit address space.
        TooLarge,
        /// It is passive: written by the program, if at all.
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
            Self::OutOfBounds { addr, min_bytes } => {
                write!(
                    f,
                    "it starts at address {addr:#x} and ends past the memory's known size of {min_bytes:#x} bytes"
                )
            }
            Self::AfterBarrier { barrier } => {
                write!(
                    f,
                    "after barrier segment {}, which may trap",
                    barrier.as_u32()
                )
            }
            Self::AlwaysTraps { at } => {
                write!(f, "the module always traps at segment {}", at.as_u32())
            }
            Self::AllOrNothing { because } => {
                write!(
                    f,
                    "segment {} is not static, and the policy is all-or-nothing",
                    because.as_u32()
                )
            }
            Self::TooSparse { span, data_bytes } => {
                write!(f, "too sparse: {data_bytes} data bytes across {span} bytes")
            }
            Self::PageSize { page_size } => {
                write!(
                    f,
                    "wasm pages of {page_size} {} are smaller than a host page",
                    if page_size == 1 { "byte" } else { "bytes" }
                )
            }
            Self::SizeLimit { image_bytes, limit } => {
                write!(
                    f,
                    "an image of {image_bytes} bytes exceeds the limit of {limit} bytes"
                )
            }
            Self::ModuleSizeLimit { image_bytes, limit } => {
                write!(
                    f,
                    "images of {image_bytes} bytes for the module exceed the limit of {limit} bytes"
                )
            }
            Self::TooLarge => f.write_str("too large for a 64-bit address space"),
            Self::Passive => f.write_str("passive: written by the program, if at all"),
        }
    }
}
