//! How a slot is reset to its initial contents.
//!
//! | strategy      | costs                                  | wins                         |
//! |---------------|----------------------------------------|------------------------------|
//! | scan and copy | a scan, and a copy of each page written | almost always: the next use finds its pages in place |
//! | discard       | one call, then a fault for each page that the next use touches | where memory matters more than time, or without page maps |
//! | remap         | like discard, and the image is mapped again | where pages cannot be discarded |
//! | copy          | every byte of the memory is compared   | small memories that are mostly written; where everything else fails |
//!
//! Measurements, from no page to all of them: docs/reset-cost.md in the repository.

use core::fmt;

use crate::sys;

/// How a [`MemorySlot`](crate::MemorySlot) removes what a use has written.
///
/// All strategies have the same effect. Where the system refuses one, the next of *scan
/// and copy*, *discard*, *remap*, *copy* takes over. A system call that was tried in this
/// process and found to have no effect is not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Chooses by the system and the last uses: scan and copy if written pages can be
    /// found and may stay resident; otherwise discard; otherwise remap; without mappings,
    /// copy. A memory of at most 1 MiB that is almost completely resident, or of 64 KiB
    /// that is half resident, is copied as a whole, except for every sixteenth reset.
    #[default]
    Auto,
    /// Finds the pages that were written and copies their initial contents over them, up
    /// to the residency budget; discards the rest (Linux 6.7).
    ScanAndCopy,
    /// Discards all pages in one call (Linux).
    Discard,
    /// Replaces the mappings; the next start maps the image again.
    Remap,
    /// Compares every byte of the memory and writes those that differ; needs nothing from
    /// the system.
    Copy,
}

impl Strategy {
    /// Returns the strategy of this system when written pages are not searched for; never
    /// [`Auto`](Self::Auto).
    pub(crate) fn without_scans() -> Self {
        if !sys::HAS_MAPPINGS {
            Self::Copy
        } else if sys::discard_support().is_yes() {
            Self::Discard
        } else {
            Self::Remap
        }
    }
}

/// What one [`reset`](crate::MemorySlot::reset) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResetReport {
    /// The strategy that completed the reset; never [`Strategy::Auto`].
    pub by: Strategy,
    /// Size in bytes of the pages found written, as far as they were searched.
    pub written_bytes: u64,
    /// The number of ranges they form.
    pub n_ranges: u64,
    /// Size in bytes of the slot's own pages that stay resident for the next use. After a
    /// reset by [`Strategy::Copy`], and where the budget has no room for a copied image, at
    /// most.
    pub resident_bytes: u64,
    /// Size in bytes of the slot's page tables, as far as scans have found them: a page
    /// that was only read leaves one, too.
    pub page_table_bytes: u64,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::ScanAndCopy => "scan and copy",
            Self::Discard => "discard",
            Self::Remap => "remap",
            Self::Copy => "copy",
        })
    }
}
