//! Detects what the system supports, once, at run time.

use core::fmt;

use crate::image::{ImageSource, MemoryImage};
use crate::os::Support;
use crate::slot::Strategy;
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

impl Capabilities {
    /// Queries the system; results are cached for the process.
    pub fn get() -> Self {
        let (scan, discard) = (sys::scan_support(), sys::discard_support());
        Self {
            image_source: MemoryImage::preferred_source(),
            scan,
            discard,
            batch: sys::batch_support(),
            strategy: match scan.is_yes() {
                true => Strategy::ScanAndCopy,
                false => Strategy::without_scans(),
            },
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
