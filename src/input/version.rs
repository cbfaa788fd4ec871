//! Detects that a file changes while it is read.
//!
//! Bytes from before and after a change make a file that never existed, and it may well be a
//! valid module. A file that is *replaced* does not change: it is read to its end.

use std::fs::File;
use std::time::SystemTime;

/// What changes whenever the contents of a regular file do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    len: u64,
    /// `None` if the file system does not record it.
    modified: Option<SystemTime>,
}

impl Version {
    /// Returns the current version; `None` for a pipe or a device, which is read only once.
    pub(super) fn of(file: &File) -> Option<Self> {
        let metadata = file.metadata().ok().filter(|it| it.is_file())?;
        Some(Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}
