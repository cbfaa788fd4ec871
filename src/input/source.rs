//! Where an input comes from.

use core::fmt::{self, Display};
use std::fs::File;
use std::io;
use std::path::Path;

/// A file on disk, or stdin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a>(pub(crate) &'a Path);

impl Source<'_> {
    pub(crate) fn is_stdin(self) -> bool {
        self.0.as_os_str() == "-"
    }
}

impl Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_stdin() {
            f.write_str("stdin")
        } else {
            self.0.display().fmt(f)
        }
    }
}

/// Returns stdin as a file, to ask what it is.
///
/// # Errors
///
/// It is closed, or the system does not tell.
#[cfg(unix)]
pub(crate) fn stdin_file() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// As on unix.
#[cfg(not(unix))]
pub(crate) fn stdin_file() -> io::Result<File> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
