//! Where an output goes.

use std::path::PathBuf;

/// How an output is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `-`, or another name for stdout.
    Stdout,
    /// A regular file or a new one, replaced as a whole. The path does not end in a link.
    File(PathBuf),
    /// A pipe or a device, which is opened and written to.
    Special,
}
