//! What is wrong with an artifact, as data, and its message.

use core::fmt;

use wasm_meminit_analysis::{Assumption, DataIndex, StartReason};
use wasm_meminit_image_builder::SourceHash;

use super::overlay::ByteDifference;

/// The first difference between an artifact and its module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The number of memories differs.
    MemoryCount { expected: usize, found: usize },
    /// A memory's type differs, or only one side imports it.
    MemoryType { memory: usize },
    /// The flag for whether an element segment may trap differs.
    ElementsMayTrap { expected: bool },
    /// The artifact assumes something that the module lacks, or that is untrue of the host.
    Assumption {
        assumption: Assumption,
        /// The host's value, if the user gave it.
        host: Option<String>,
    },
    /// A segment of the replay list is not in the module, or is out of order.
    ReplayList { segment: DataIndex },
    /// A segment of a stripped module is not in the replay list.
    NotStripped { segment: DataIndex },
    /// The image contains a segment that must be replayed.
    MustReplay {
        segment: DataIndex,
        because: MustReplay,
    },
    /// A run, even one of zeros, over a memory that the host may have written to.
    Run { memory: usize, addr: u64 },
    /// The image does not hold what the start function would write.
    StartFunction { because: NotTheStart },
    /// A byte of a memory differs, at one of the moments at which it can be observed.
    Byte {
        memory: usize,
        moment: Moment,
        byte: ByteDifference,
    },
    /// Everything matches, but the artifact was built from another module.
    Source {
        expected: SourceHash,
        found: SourceHash,
    },
}

/// When a memory is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before any segment is replayed, as can be observed if a replayed segment traps.
    Image,
    /// After all active segments are written.
    Replayed,
    /// After the start function has returned on the first thread.
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

/// Why an image cannot replace the work of the start function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTheStart {
    /// The function is not wasm-ld's.
    Unknown(StartReason),
    /// The memory, the flag or the first thread's storage differs.
    Another,
    ImportedMemory,
    AfterBarrier(DataIndex),
    /// The flag is not 0 when the function runs, so it writes nothing.
    FlagIsSet {
        flag: u64,
        found: u32,
    },
    /// It both writes data to an address and fills it with zeros, in an unknown order.
    Overlap {
        addr: u64,
    },
}

impl fmt::Display for NotTheStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(reason) => reason.fmt(f),
            Self::Another => f.write_str("its flag, memory or thread-local storage differs"),
            Self::ImportedMemory => f.write_str("its memory is imported"),
            Self::AfterBarrier(at) => write!(f, "it runs after barrier segment {}", at.as_u32()),
            Self::FlagIsSet { flag, found } => {
                write!(
                    f,
                    "its flag at {flag:#x} is {found} when it runs, expected 0"
                )
            }
            Self::Overlap { addr } => {
                write!(
                    f,
                    "it both writes data to address {addr:#x} and fills it with zeros"
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
            Self::AfterBarrier(at) => write!(f, "it is after barrier segment {}", at.as_u32()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryCount { expected, found } => {
                write!(f, "expected {expected} memories, found {found}")
            }
            Self::MemoryType { memory } => write!(f, "memory {memory} has a different type"),
            Self::ElementsMayTrap { expected } => {
                let found = !expected;
                write!(f, "elements may trap: expected {expected}, found {found}")
            }
            Self::Assumption {
                assumption,
                host: None,
            } => write!(f, "it assumes what the module does not have: {assumption}"),
            Self::Assumption {
                assumption,
                host: Some(host),
            } => write!(f, "it assumes that {assumption}; the host has {host}"),
            Self::ReplayList { segment } => {
                let segment = segment.as_u32();
                write!(f, "replay list: segment {segment} differs from the module")
            }
            Self::NotStripped { segment } => {
                let segment = segment.as_u32();
                write!(
                    f,
                    "the module is not stripped: segment {segment} still has its bytes and is \
                     not in the replay list"
                )
            }
            Self::MustReplay { segment, because } => {
                let segment = segment.as_u32();
                write!(f, "segment {segment} is not replayed although {because}")
            }
            Self::Run { memory, addr } => write!(
                f,
                "memory {memory} has a run at address {addr:#x} although it is imported and \
                 the artifact does not assume that it is zeroed"
            ),
            Self::StartFunction { because } => write!(
                f,
                "the image differs from what the start function writes: {because}"
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
            Self::Source { .. } => f.write_str("every byte matches, but the module differs"),
        }
    }
}
