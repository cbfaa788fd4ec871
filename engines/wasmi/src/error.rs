//! Why a module cannot be prepared.

use core::error::Error;
use core::fmt;

use wasm_meminit_analysis::ParseError;
use wasm_meminit_image_builder::rewrite::RewriteError;

/// Why a module could not be prepared.
#[derive(Debug)]
#[non_exhaustive]
pub enum PrepareError {
    /// The module is malformed.
    Parse(ParseError),
    /// The module's data cannot be packed, or its memories cannot be
    /// [provided](crate::MemoryImports::Provide).
    Rewrite(RewriteError),
    /// wasmi rejected the module.
    Compile(wasmi::Error),
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(err) => err.fmt(f),
            Self::Rewrite(err) => err.fmt(f),
            Self::Compile(err) => err.fmt(f),
        }
    }
}

impl Error for PrepareError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Parse(err) => err.source(),
            Self::Rewrite(err) => err.source(),
            Self::Compile(err) => err.source(),
        }
    }
}
