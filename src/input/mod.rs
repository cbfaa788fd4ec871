//! What a command reads: files, and what the arguments say about the host.

pub(crate) mod args;
pub(crate) mod artifacts;
mod assemble;
mod bytes;
mod file;
mod foreign;
pub(crate) mod globals;
pub(crate) mod hash;
pub(crate) mod import;
pub(crate) mod listing;
pub(crate) mod memories;
pub(crate) mod modules;
pub(crate) mod object;
mod source;
mod version;

pub(crate) use self::file::{Binary, Input, artifact, module, module_or_artifact};
pub(crate) use self::source::{Source, stdin_file};
