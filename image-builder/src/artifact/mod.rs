//! Artifacts: the images of a module in a file. `FORMAT.md` is the specification.

pub(crate) mod bundle;
mod decode;
pub(crate) mod encode;
mod entry;
pub(crate) mod error;
pub(crate) mod file;
pub(crate) mod head;
pub(crate) mod preamble;
mod provenance;
mod wire;
