//! Errors of encoding and decoding artifacts.

use core::fmt;

use wasm_meminit_analysis::DataIndex;

/// Error of encoding a module's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Allocation failed, or the artifact does not fit in the address space.
    OutOfMemory,
    /// The header would be 4 GiB or larger.
    HeaderTooLarge,
    /// The plan relies on an assumption that this format version cannot express.
    Assumption,
    /// The offset of a segment to replay is not an expression of its memory's address
    /// type, so the module is invalid.
    Offset {
        /// The segment.
        segment: DataIndex,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("failed to allocate the artifact"),
            Self::HeaderTooLarge => f.write_str("the artifact's header would be 4 GiB or larger"),
            Self::Assumption => f.write_str(
                "the plan relies on an assumption that the artifact format cannot express",
            ),
            Self::Offset { segment } => write!(
                f,
                "the offset of data segment {} does not have its memory's address type",
                segment.as_u32()
            ),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Error of decoding an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input does not begin with [`MAGIC`](crate::MAGIC).
    NotAnArtifact,
    /// The format version is not supported.
    Version {
        /// The version in the file.
        found: u32,
        /// The version that this crate reads and writes.
        supported: u32,
    },
    /// The input is shorter than the header implies.
    Truncated {
        /// The expected length in bytes.
        expected: u64,
        /// The length of the input in bytes.
        found: u64,
    },
    /// The input is longer than the header implies.
    TrailingBytes {
        /// The expected length in bytes.
        expected: u64,
        /// The length of the input in bytes.
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
    /// A part is malformed or inconsistent.
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
    /// The description of the start function's baked writes, or its flag in the image.
    Start,
    /// The assumptions about the host in the header, or a missing assumption that an image
    /// needs.
    Assumptions,
    /// Zero bytes between parts.
    Padding,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnArtifact => f.write_str("not a wasm-meminit artifact"),
            Self::Version { found, supported } => {
                write!(
                    f,
                    "artifact has format version {found}, expected version {supported}\nhint: build it again from its module"
                )
            }
            Self::Truncated { expected, found } => {
                write!(f, "artifact truncated: {found} bytes, expected {expected}")
            }
            Self::TrailingBytes { expected, found } => {
                write!(
                    f,
                    "artifact has trailing bytes: {found} bytes, expected {expected}"
                )
            }
            Self::Checksum { part } => {
                write!(f, "artifact damaged: checksum mismatch in the {part}")
            }
            Self::RunChecksum { memory, addr } => write!(
                f,
                "artifact damaged: checksum mismatch in the run at address {addr:#x} of memory {memory}"
            ),
            Self::PastEnd { memory, addr } => write!(
                f,
                "artifact damaged: non-zero byte past the end of memory {memory}, at address {addr:#x}"
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
