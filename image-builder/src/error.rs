//! Why an image could not be built, encoded or decoded.

use core::fmt;

use wasm_meminit_analysis::DataIndex;

/// Why an image could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// An image of that many bytes is above the policy's limit.
    SizeLimit {
        /// What it would have, in bytes.
        image_bytes: u64,
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// An image of that many bytes does not fit this machine's address space.
    TooLarge {
        /// What it would have, in bytes.
        image_bytes: u64,
    },
    /// The policy makes no image of a memory whose wasm pages are smaller than its host
    /// pages.
    PageSize {
        /// The wasm page size in bytes.
        wasm_page: u64,
        /// The host page size in bytes.
        host_page: u64,
    },
    /// Allocation failed.
    OutOfMemory {
        /// What was asked for, in bytes.
        image_bytes: u64,
    },
    /// The plan was made for another module.
    WrongPlan,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SizeLimit { image_bytes, limit } => {
                write!(
                    f,
                    "an image of {image_bytes} bytes is above the limit of {limit}"
                )
            }
            Self::TooLarge { image_bytes } => {
                write!(
                    f,
                    "an image of {image_bytes} bytes does not fit the address space"
                )
            }
            Self::PageSize {
                wasm_page,
                host_page,
            } => write!(
                f,
                "the policy makes no image of wasm pages of {wasm_page} bytes for host pages of {host_page}"
            ),
            Self::OutOfMemory { image_bytes } => {
                write!(f, "out of memory for an image of {image_bytes} bytes")
            }
            Self::WrongPlan => f.write_str("the plan was made for another module"),
        }
    }
}

impl core::error::Error for BuildError {}

/// Why a module's image could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The artifact would not fit this machine's address space, or the allocator.
    OutOfMemory,
    /// The header would have 4 GiB or more.
    HeaderTooLarge,
    /// The plan rests on an assumption that this version of the format cannot express.
    Assumption,
    /// The offset of a segment to replay is not an expression of its memory's address
    /// type: the module is not valid.
    Offset {
        /// The segment.
        segment: DataIndex,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("out of memory for the artifact"),
            Self::HeaderTooLarge => f.write_str("the artifact's header would have 4 GiB or more"),
            Self::Assumption => f.write_str("an assumption that artifacts cannot express"),
            Self::Offset { segment } => write!(
                f,
                "the offset of data segment {} is not of its memory's address type",
                segment.as_u32()
            ),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Why bytes are not an artifact, or not one that this version reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first bytes are not the artifact's magic.
    NotAnArtifact,
    /// Another version of the format.
    Version {
        /// The version in the file.
        found: u32,
        /// The version that this crate reads and writes.
        supported: u32,
    },
    /// Fewer bytes than the header says there are.
    Truncated {
        /// How many bytes there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// More bytes than the header says there are.
    TrailingBytes {
        /// How many bytes there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A part does not match its checksum.
    Checksum {
        /// Which part.
        part: Part,
    },
    /// The bytes of a run do not match their checksum.
    RunChecksum {
        /// The index of the memory.
        memory: u32,
        /// The address of the run in bytes.
        addr: u64,
    },
    /// A byte past the end of a memory is not zero.
    PastEnd {
        /// The index of the memory.
        memory: u32,
        /// The address of the byte.
        addr: u64,
    },
    /// A part is well-formed on the outside but says what cannot be.
    Invalid {
        /// Which part.
        part: Part,
    },
}

/// The parts of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The fixed fields at the front.
    Preamble,
    /// The header.
    Header,
    /// The type of a memory in the header.
    MemoryType,
    /// The runs of a memory in the header.
    Runs,
    /// The replay list in the header.
    Replay,
    /// What the image holds in place of a start function, in the header or in the image.
    Start,
    /// What is assumed of the host, in the header; or an image without the assumption that
    /// it needs.
    Assumptions,
    /// Zero bytes between parts.
    Padding,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnArtifact => f.write_str("not a memory artifact"),
            Self::Version { found, supported } => {
                write!(
                    f,
                    "artifact of format version {found}, expected version {supported}\nhint: build it again from its module"
                )
            }
            Self::Truncated { expected, found } => {
                write!(f, "artifact cut short: {found} of {expected} bytes")
            }
            Self::TrailingBytes { expected, found } => {
                write!(f, "artifact has {found} bytes, expected {expected}")
            }
            Self::Checksum { part } => write!(f, "artifact damaged: checksum of {part} differs"),
            Self::RunChecksum { memory, addr } => write!(
                f,
                "artifact damaged: checksum of the run at address {addr:#x} of memory {memory} differs"
            ),
            Self::PastEnd { memory, addr } => write!(
                f,
                "artifact damaged: a byte past the end of memory {memory}, at address {addr:#x}"
            ),
            Self::Invalid { part } => write!(f, "artifact damaged: invalid {part}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preamble => "preamble",
            Self::Header => "header",
            Self::MemoryType => "memory type",
            Self::Runs => "runs",
            Self::Replay => "replay list",
            Self::Start => "start function",
            Self::Padding => "padding",
            Self::Assumptions => "assumptions",
        })
    }
}

impl core::error::Error for DecodeError {}
