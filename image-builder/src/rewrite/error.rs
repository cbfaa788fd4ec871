//! Errors of rewriting modules.

use core::fmt;

use wasm_meminit_analysis::limits::MAX_DATA_SEGMENTS;
use wasm_meminit_analysis::{MemoryIndex, wasmparser};

/// Error of rewriting a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RewriteError {
    /// The module was not parsed from bytes, so there are none to rewrite; see
    /// [`Module::binary`](wasm_meminit_analysis::Module::binary).
    NoBinary,
    /// The binary is malformed at that byte offset, or contains an instruction or type that
    /// this version does not support.
    Malformed {
        /// The offset from the start of the module or component.
        offset: u64,
    },
    /// The plan was made for another module.
    WrongPlan,
    /// The module is an object file, whose symbols and relocations refer to data segments,
    /// bytes in them, and sections by index.
    Relocatable,
    /// Another import already has that name.
    NameTaken {
        /// The memory to be imported under that name.
        memory: MemoryIndex,
    },
    /// Two memories are imported under one name: a host resolves both to the same memory.
    ImportedTwice {
        /// The second one.
        memory: MemoryIndex,
    },
    /// The module has no such memory.
    UnknownMemory {
        /// The requested memory.
        memory: MemoryIndex,
    },
    /// The memory is imported, so the host determines its initial contents.
    ImportedMemory {
        /// The requested memory.
        memory: MemoryIndex,
    },
    /// The captured memory is larger than the memory's type allows.
    AboveMaximum {
        /// The memory to be replaced.
        memory: MemoryIndex,
        /// The captured size in bytes.
        size_bytes: u64,
    },
    /// A section would be 4 GiB or larger.
    TooLarge,
    /// The module would have more data segments than engines accept:
    /// [`MAX_DATA_SEGMENTS`](wasm_meminit_analysis::limits::MAX_DATA_SEGMENTS).
    TooManySegments {
        /// The minimum number of segments.
        n_segments: usize,
    },
    /// Components are nested more deeply than any tool emits.
    TooDeep,
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBinary => f.write_str("the module was not parsed from bytes"),
            Self::Malformed { offset } => {
                write!(f, "malformed WebAssembly binary (at offset {offset:#x})")
            }
            Self::WrongPlan => f.write_str("the plan was made for another module"),
            Self::Relocatable => f.write_str(
                "cannot rewrite an object file: its relocations refer to data segments\nhint: link it first",
            ),
            Self::NameTaken { memory } => write!(
                f,
                "cannot import memory {}: another import already has its name",
                memory.as_u32()
            ),
            Self::ImportedTwice { memory } => write!(
                f,
                "memory {} is imported under the name of another one",
                memory.as_u32()
            ),
            Self::UnknownMemory { memory } => {
                write!(f, "memory {} does not exist", memory.as_u32())
            }
            Self::ImportedMemory { memory } => {
                write!(f, "memory {} is imported", memory.as_u32())
            }
            Self::AboveMaximum { memory, size_bytes } => write!(
                f,
                "{size_bytes} bytes exceed the maximum size of memory {}",
                memory.as_u32()
            ),
            Self::TooManySegments { n_segments } => write!(
                f,
                "{n_segments} data segments would remain, but engines accept at most {MAX_DATA_SEGMENTS}"
            ),
            Self::TooLarge => f.write_str("a section would be 4 GiB or larger"),
            Self::TooDeep => f.write_str("components are nested too deeply"),
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
