//! Where an input comes from.

use core::fmt::{self, Display};
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
