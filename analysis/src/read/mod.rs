//! Reads a module: its memories, data segments, globals, and what its elements may do.

pub(crate) mod builder;
#[cfg(feature = "parse")]
pub(crate) mod code;
#[cfg(feature = "parse")]
mod data_section;
pub(crate) mod deferred;
pub(crate) mod elements;
pub(crate) mod error;
#[cfg(feature = "parse")]
mod global_section;
pub(crate) mod inline;
pub(crate) mod items;
pub(crate) mod module;
#[cfg(feature = "parse")]
mod parse;
#[cfg(feature = "parse")]
mod payload;
pub(crate) mod supplied;
#[cfg(feature = "parse")]
mod vector;
#[cfg(feature = "parse")]
pub(crate) mod walk;
