//! What is wrong with an artifact, as data, and its message.

use core::fmt;

use wasm_meminit_analysis::{Assumption, DataIndex, MemoryIndex, StartReason, Value};

use crate::SourceHash;

/// The first difference between an artifact and its module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The number of memories differs.
    MemoryCount {
        /// The number of memories of the module.
        expected: usize,
        /// The number of memories of the artifact.
        found: usize,
    },
    /// A memory's type differs, or only one side imports it.
    MemoryType {
        /// The memory.
        memory: MemoryIndex,
    },
    /// The flag for whether an element segment may trap differs.
    ElementsMayTrap {
        /// Whether one may trap.
        expected: bool,
    },
    /// The artifact assumes something that the module lacks, or that is untrue of the host.
    Assumption {
        /// What the artifact assumes.
        assumption: Assumption,
        /// What the host has instead, as set on the module; `None` if the module has no such
        /// import.
        host: Option<HostFact>,
    },
    /// The artifact needs this memory for itself, but the module imports it again by the same
    /// names, so that another index may be the same memory.
    ImportedTwice {
        /// The memory.
        memory: MemoryIndex,
    },
    /// A segment of the replay list is not in the module, or is out of order.
    ReplayList {
        /// The segment of the artifact.
        segment: DataIndex,
    },
    /// A segment of a stripped module is not in the replay list.
    NotStripped {
        /// The segment of the module.
        segment: DataIndex,
    },
    /// The image contains a segment that must be replayed.
    MustReplay {
        /// The segment of the module.
        segment: DataIndex,
        /// The cause.
        because: MustReplay,
    },
    /// A run, even one of zeros, over a memory that the host may have written to.
    Run {
        /// The memory.
        memory: MemoryIndex,
        /// The address of the run.
        addr: u64,
    },
    /// The image does not hold what the start function would write.
    StartFunction {
        /// The cause.
        because: StartDifference,
    },
    /// A byte of a memory differs, at one of the moments at which it can be observed.
    Byte {
        /// The memory.
        memory: MemoryIndex,
        /// When it differs.
        moment: Moment,
        /// The first byte that differs.
        byte: ByteDifference,
    },
    /// Everything matches, but the artifact was built from another module.
    Source {
        /// The hash of the module.
        expected: SourceHash,
        /// The hash in the artifact.
        found: SourceHash,
    },
}

/// A byte that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteDifference {
    /// Its address.
    pub addr: u64,
    /// Its value according to the module.
    pub expected: u8,
    /// Its value according to the artifact.
    pub found: u8,
}

/// What a host has where an artifact assumes something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostFact {
    /// An imported global with this value.
    GlobalValue(Value),
    /// An imported memory with this size in bytes.
    MemoryBytes(u64),
}

/// When a memory is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moment {
    /// Before any segment is replayed, as can be observed if a replayed segment traps.
    Image,
    /// After all active segments are written.
    Replayed,
    /// After the start function has returned on the first thread.
    Started,
}

/// Why a segment must be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MustReplay {
    /// Its address is known only to the host.
    UnknownAddress,
    /// It is out of bounds, or may be.
    OutOfBounds,
    /// Its memory is imported, and not assumed to be zeroed.
    ImportedMemory,
    /// This segment before it may trap.
    AfterBarrier(DataIndex),
}

/// Why an image cannot replace the work of the start function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartDifference {
    /// The function is not wasm-ld's.
    Unknown(StartReason),
    /// The memory, the flag or the first thread's storage differs.
    Another,
    /// Its memory is imported, and not assumed to be zeroed.
    ImportedMemory,
    /// It runs after this segment, which may trap.
    AfterBarrier(DataIndex),
    /// The flag is not 0 when the function runs, so it writes nothing.
    FlagIsSet {
        /// The address of the flag.
        flag: u64,
        /// Its value.
        found: u32,
    },
    /// It both writes data to an address and fills it with zeros, in an unknown order.
    Overlap {
        /// The address.
        addr: u64,
    },
}

impl fmt::Display for HostFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GlobalValue(value) => value.fmt(f),
            Self::MemoryBytes(bytes) => write!(f, "{bytes} bytes"),
        }
    }
}

impl fmt::Display for StartDifference {
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
            Self::MemoryType { memory } => {
                write!(f, "memory {} has a different type", memory.as_u32())
            }
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
            Self::ImportedTwice { memory } => write!(
                f,
                "memory {} is imported more than once by the same names",
                memory.as_u32()
            ),
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
                "memory {} has a run at address {addr:#x} although it is imported and \
                 the artifact does not assume that it is zeroed",
                memory.as_u32()
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
                let memory = memory.as_u32();
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

impl core::error::Error for Finding {}
