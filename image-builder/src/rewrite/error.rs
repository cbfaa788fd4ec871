//! Why a module could not be rewritten.

use core::fmt;

use wasm_meminit_analysis::limits::MAX_DATA_SEGMENTS;
use wasm_meminit_analysis::{MemoryIndex, wasmparser};

/// Why a module could not be rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RewriteError {
    /// The module was not read from bytes, so there are none to rewrite; see
    /// [`Module::binary`](wasm_meminit_analysis::Module::binary).
    NoBinary,
    /// What stands at that byte offset cannot be read: damaged, or an instruction or
    /// type that this version does not know.
    Malformed {
        /// Counted from the start of the module or component.
        offset: u64,
    },
    /// The plan was made for another module.
    WrongPlan,
    /// An object file for a linker, whose symbols and relocations name data segments,
    /// bytes in them, and sections by their place.
    Relocatable,
    /// The module imports something of that name already.
    NameTaken {
        /// The memory that would have been imported under it.
        memory: MemoryIndex,
    },
    /// The module has no such memory.
    UnknownMemory {
        /// The memory that was asked for.
        memory: MemoryIndex,
    },
    /// That memory is imported: what it holds at the start is the host's affair.
    ImportedMemory {
        /// The memory that was asked for.
        memory: MemoryIndex,
    },
    /// A captured memory is larger than the module's can get.
    AboveMaximum {
        /// The memory that it was to become.
        memory: MemoryIndex,
        /// Its size in bytes.
        size_bytes: u64,
    },
    /// A section would have 4 GiB or more.
    TooLarge,
    /// More data segments than engines accept:
    /// [`MAX_DATA_SEGMENTS`](wasm_meminit_analysis::limits::MAX_DATA_SEGMENTS).
    TooManySegments {
        /// How many there would be at least.
        n_segments: usize,
    },
    /// Components nested deeper than any tool nests them.
    TooDeep,
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBinary => f.write_str("the module was not read from bytes"),
            Self::Malformed { offset } => {
                write!(f, "malformed WebAssembly binary (at offset {offset:#x})")
            }
            Self::WrongPlan => f.write_str("the plan was made for another module"),
            Self::Relocatable => f.write_str(
                "an object file, whose relocations name its data segments\nhint: link it first",
            ),
            Self::NameTaken { memory } => write!(
                f,
                "the name to import memory {} under is taken",
                memory.as_u32()
            ),
            Self::UnknownMemory { memory } => {
                write!(f, "there is no memory {}", memory.as_u32())
            }
            Self::ImportedMemory { memory } => {
                write!(f, "memory {} is imported", memory.as_u32())
            }
            Self::AboveMaximum { memory, size_bytes } => write!(
                f,
                "{size_bytes} bytes are more than memory {} can have",
                memory.as_u32()
            ),
            Self::TooManySegments { n_segments } => write!(
                f,
                "{n_segments} data segments would be left, and engines accept {MAX_DATA_SEGMENTS}"
            ),
            Self::TooLarge => f.write_str("a section would have 4 GiB or more"),
            Self::TooDeep => f.write_str("components are nested too deep"),
        }
    }
}

impl core::error::Error for RewriteError {}

/// Not a `From` impl: that would make wasmparser's version part of the error.
#[cold]
pub(super) fn malformed(err: &wasmparser::Error) -> RewriteError {
    RewriteError::Malformed {
        offset: err.offset(),
    }
}
