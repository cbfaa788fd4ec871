//! Detects what the system supports, once, at run time.

use core::fmt;

use crate::error::OsError;
use crate::image::{ImageSource, MemoryImage};
use crate::reset::Strategy;
use crate::sys;

/// What this process can use, and the reason where it cannot.
///
/// Kernel versions are not compared: each feature is tried out, because a container may
/// forbid what the kernel supports, or `/proc` may be missing. A child process detects
/// again.
///
/// ```
/// let capabilities = wasm_meminit_apply::Capabilities::get();
/// println!("{capabilities}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Where [`MemoryImage::new`](crate::MemoryImage::new) stores its bytes.
    pub image_source: ImageSource,
    /// Whether a reset can find the pages that were written.
    pub scan: Support,
    /// Whether discarded pages read as their initial contents again.
    pub discard: Support,
    /// Whether pages of many slots can be discarded in one call.
    pub batch: Support,
    /// The strategy that [`Strategy::Auto`] begins with.
    pub strategy: Strategy,
}

/// Whether a feature is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Support {
    /// It was tried and works.
    Yes,
    /// This target does not have the feature.
    Absent,
    /// It was tried, and the system returned this error.
    Refused(OsError),
}

impl Support {
    /// Returns whether the feature works.
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }
}

impl Capabilities {
    /// Queries the system; results are cached for the process.
    pub fn get() -> Self {
        let (scan, discard) = (sys::scan_support(), sys::discard_support());
        Self {
            image_source: MemoryImage::preferred_source(),
            scan,
            discard,
            batch: sys::batch_support(),
            strategy: match sys::DEFAULT_STRATEGY {
                _ if scan.is_yes() => Strategy::ScanAndCopy,
                Strategy::Drop if !discard.is_yes() => Strategy::Remap,
                default => default,
            },
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::Absent => f.write_str("no: not on this target"),
            Self::Refused(err) => write!(f, "no: {err}"),
        }
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "images in:            {}", self.image_source)?;
        writeln!(f, "finds written pages:  {}", self.scan)?;
        writeln!(f, "discards pages:       {}", self.discard)?;
        writeln!(f, "resets many at once:  {}", self.batch)?;
        write!(f, "resets by:            {}", self.strategy)
    }
}
