//! Unix systems other than Linux: mappings, but neither sealed files nor page maps.

mod absent;
mod errno;
mod mmap;
#[path = "unlinked.rs"]
mod own_file;

use core::ops::Range;
use std::fs::File;

pub(crate) use self::absent::{Written, batch_support, discard_many, max_mappings, scan_support};
pub(crate) use self::mmap::{Reservation, Source, page_bytes, table_bytes};
use super::file::{FileError, MappedIn};
use crate::os::{OsError, Support};

/// Whether memory can be mapped.
pub(crate) const HAS_MAPPINGS: bool = true;

/// Whether the files that [`Source::file`] creates are sealed memory files. They are
/// unlinked files.
pub(crate) const OWN_FILES_ARE_SEALED: bool = false;

/// `MADV_DONTNEED`, where it exists, does not promise zeros.
pub(crate) const fn discard_support() -> Support {
    Support::Absent
}

/// Nothing is tried out: see the file for Linux, where some calls have pretended to work.
mod verdict {
    #[derive(Debug)]
    pub(super) struct Verdict;

    impl Verdict {
        pub(super) const fn unknown() -> Self {
            Self
        }
    }
}

/// These systems have no limit that adding a mapping would exceed.
mod map_lock {
    #[derive(Debug)]
    pub(super) struct MapGuard;

    pub(super) const fn lock_shared() -> MapGuard {
        MapGuard
    }

    pub(super) const fn lock_exclusive() -> MapGuard {
        MapGuard
    }
}

/// Returns how the system maps the file. No known file system makes mmap(2) round a
/// length up to more than a page.
pub(super) fn mapped_in(file: &File) -> Result<MappedIn, FileError> {
    mmap::regular_file(file)
}

impl Reservation {
    /// Reserves `len` bytes with a guard on either side, all multiples of the host page,
    /// with no access. Costs only address space.
    pub(crate) fn new(before: usize, len: usize, after: usize) -> Result<Self, OsError> {
        Self::reserve(before, len, after)
    }

    /// Pages cannot be discarded on this target: `MADV_DONTNEED`, where it exists, does
    /// not guarantee zeros.
    pub(crate) const fn discard(&mut self, _range: Range<usize>) -> Result<(), OsError> {
        Err(absent::ABSENT)
    }

    /// Not supported either.
    pub(crate) const fn discard_ranges(&mut self, _ranges: &[Range<usize>]) -> Result<(), OsError> {
        Err(absent::ABSENT)
    }
}

impl Source {
    /// Pages of files are only mapped on this target.
    pub(crate) const fn is_trusted(&self) -> bool {
        true
    }
}

/// There are no seals on this target.
pub(super) const fn is_sealed(_file: &File) -> bool {
    false
}
