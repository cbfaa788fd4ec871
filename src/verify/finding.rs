//! What is wrong with an artifact, as data.

use core::fmt;

use wasm_meminit_analysis::{Assumption, DataIndex, StartReason};
use wasm_meminit_image_builder::SourceHash;

use super::overlay::ByteDifference;

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Not the same number of memories.
    MemoryCount { expected: usize, found: usize },
    /// A memory of another type, or imported here and defined there.
    MemoryType { memory: usize },
    /// Whether an element segment may trap.
    ElementsMayTrap { expected: bool },
    /// The artifact assumes what the module does not have, or the host has otherwise.
    Assumption {
        assumption: Assumption,
        /// What the host has, where the user said it.
        host: Option<String>,
    },
    /// The replay list has a segment that is not the module's, or not at its place.
    ReplayList { segment: DataIndex },
    /// A stripped module has a segment that is not in the replay list.
    NotStripped { segment: DataIndex },
    /// A segment is in the image that must not be.
    MustReplay {
        segment: DataIndex,
        because: MustReplay,
    },
    /// A run, be it zero, over a memory that the host may have written to.
    Run { memory: usize, addr: u64 },
    /// The image holds in place of the start function what that would not write.
    StartFunction { because: NotTheStart },
    /// A byte of a memory, at one of the moments at which it can be seen.
    Byte {
        memory: usize,
        moment: Moment,
        byte: ByteDifference,
    },
    /// All of it would be right, but it was built from another module.
    Source {
        expected: SourceHash,
        found: SourceHash,
    },
}

/// When a memory is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before anything is replayed: what is seen where a replayed segment traps.
    Image,
    /// When all active segments are written.
    Replayed,
    /// When the start function has returned on the first thread.
    Started,
}

/// Why a segment must be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MustReplay {
    UnknownAddress,
    OutOfBounds,
    ImportedMemory,
    AfterBarrier(DataIndex),
}

/// What is wrong with what stands in place of the start function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTheStart {
    /// It is not wasm-ld's.
    Unknown(StartReason),
    /// Memory, flag or the first thread's storage.
    Another,
    ImportedMemory,
    AfterBarrier(DataIndex),
    /// The flag is not 0 when the function runs: it writes nothing.
    FlagIsSet {
        flag: u64,
        found: u32,
    },
    /// It fills with zeros what it writes, and which comes last is not known.
    Overlap {
        addr: u64,
    },
}

impl fmt::Display for NotTheStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(reason) => reason.fmt(f),
            Self::Another => f.write_str("it has another flag, memory or thread-local storage"),
            Self::ImportedMemory => f.write_str("its memory is imported"),
            Self::AfterBarrier(at) => write!(f, "segment {} may trap before it", at.as_u32()),
            Self::FlagIsSet { flag, found } => {
                write!(f, "its flag at {flag:#x} is {found} and not 0 when it runs")
            }
            Self::Overlap { addr } => {
                write!(
                    f,
                    "it also fills with zeros what it writes at address {addr:#x}"
                )
            }
        }
    }
}

impl fmt::Display for MustReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAddress => f.write_str("its address is not known"),
            Self::OutOfBounds => f.write_str("it is out of bounds"),
            Self::ImportedMemory => f.write_str("its memory is imported"),
            Self::AfterBarrier(at) => write!(f, "segment {} before it may trap", at.as_u32()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryCount { expected, found } => {
                write!(f, "expected {expected} memories, found {found}")
            }
            Self::MemoryType { memory } => write!(f, "memory {memory} has another type"),
            Self::ElementsMayTrap { expected } => {
                write!(f, "whether element segments may trap: expected {expected}")
            }
            Self::Assumption {
                assumption,
                host: None,
            } => write!(f, "it assumes what the module has not: {assumption}"),
            Self::Assumption {
                assumption,
                host: Some(host),
            } => write!(f, "it assumes that {assumption}; the host has {host}"),
            Self::ReplayList { segment } => {
                let segment = segment.as_u32();
                write!(f, "replay list: segment {segment} is not as in the module")
            }
            Self::NotStripped { segment } => {
                let segment = segment.as_u32();
                write!(
                    f,
                    "segment {segment} still has its bytes, and is not in the replay list: \
                     the module is not stripped"
                )
            }
            Self::MustReplay { segment, because } => {
                let segment = segment.as_u32();
                write!(f, "segment {segment} is not replayed although {because}")
            }
            Self::Run { memory, addr } => write!(
                f,
                "memory {memory} has a run at address {addr:#x} although it is imported, and \
                 the artifact does not assume it to be zero"
            ),
            Self::StartFunction { because } => write!(
                f,
                "the image is not what the start function writes: {because}"
            ),
            Self::Byte {
                memory,
                moment,
                byte:
                    ByteDifference {
                        addr,
                        expected,
                        found,
                    },
            } => {
                match moment {
                    Moment::Image => write!(f, "image of memory {memory}")?,
                    Moment::Replayed => write!(f, "memory {memory} after the replay")?,
                    Moment::Started => write!(f, "memory {memory} after the start function")?,
                }
                write!(
                    f,
                    ", address {addr:#x}: expected {expected:#04x}, found {found:#04x}"
                )
            }
            Self::Source { .. } => f.write_str("right byte for byte, but of another module"),
        }
    }
}
