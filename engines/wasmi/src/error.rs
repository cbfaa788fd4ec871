//! Why a module cannot be prepared or instantiated.

use alloc::string::String;
use core::error::Error;
use core::fmt;

use wasm_meminit_analysis::{MemoryIndex, ParseError};
use wasm_meminit_image_builder::BuildError;
use wasm_meminit_image_builder::rewrite::RewriteError;

/// Why a module could not be prepared.
#[derive(Debug)]
#[non_exhaustive]
pub enum PrepareError {
    /// The module is malformed.
    Parse(ParseError),
    /// An image is too large.
    Build(BuildError),
    /// The module's data cannot be removed, or its memories cannot be imported.
    Rewrite(RewriteError),
    /// The module imports a memory twice, so it cannot be
    /// [provided](crate::MemoryImports::Provide): both would have to be the same.
    DuplicateImport {
        /// The module that it is imported from.
        module: String,
        /// Its name.
        name: String,
    },
    /// wasmi rejected the module.
    Compile(wasmi::Error),
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(err) => err.fmt(f),
            Self::Build(err) => err.fmt(f),
            Self::Rewrite(err) => err.fmt(f),
            Self::DuplicateImport { module, name } => {
                write!(f, "memory `{module}` `{name}` is imported twice")
            }
            Self::Compile(err) => err.fmt(f),
        }
    }
}

impl Error for PrepareError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Parse(err) => err.source(),
            Self::Build(err) => err.source(),
            Self::Rewrite(err) => err.source(),
            Self::DuplicateImport { .. } => None,
            Self::Compile(err) => err.source(),
        }
    }
}

/// Why a module could not be instantiated.
#[derive(Debug)]
#[non_exhaustive]
pub enum InstantiateError {
    /// The store or the linker belongs to another engine than the prepared module.
    OtherEngine,
    /// A memory could not be created, for instance because of a limit of the store.
    Memory {
        /// Its index in the module.
        index: MemoryIndex,
        /// wasmi's error.
        error: wasmi::Error,
    },
    /// wasmi's error, such as a trap, or an import that is missing.
    Wasmi(wasmi::Error),
}

impl InstantiateError {
    /// Returns wasmi's error, if it is one.
    pub const fn as_wasmi(&self) -> Option<&wasmi::Error> {
        match self {
            Self::OtherEngine => None,
            Self::Memory { error, .. } | Self::Wasmi(error) => Some(error),
        }
    }
}

impl fmt::Display for InstantiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherEngine => {
                f.write_str("the store or the linker belongs to another engine than the module")
            }
            Self::Memory { index, error } => {
                write!(f, "cannot create memory {}: {error}", index.as_u32())
            }
            Self::Wasmi(err) => err.fmt(f),
        }
    }
}

impl Error for InstantiateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::OtherEngine => None,
            Self::Memory { error, .. } => Some(error),
            Self::Wasmi(err) => err.source(),
        }
    }
}
