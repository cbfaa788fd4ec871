//! Stubs for what only Linux supports: finding and prefetching pages, batches.

use core::ops::Range;

use super::super::scan::{Pages, ScanFor};
use super::Reservation;
use crate::os::{Call, OsError, Support};

/// There is no such system call, so no error number either.
pub(super) const ABSENT: OsError = OsError {
    call: Call::Madvise,
    code: 0,
};

/// There are no page maps on this target.
#[derive(Debug)]
pub(crate) struct Written;

impl Written {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) fn pages(&self) -> impl Iterator<Item = Pages> {
        core::iter::empty()
    }
}

impl Reservation {
    /// There are no page maps on this target.
    pub(crate) const fn scan(
        &self,
        _scan_for: ScanFor,
        _range: Range<usize>,
        _max_pages: usize,
        _written: &mut Written,
    ) -> Result<usize, OsError> {
        Err(ABSENT)
    }

    /// Pages cannot be prefetched on this target.
    pub(crate) const fn populate(&mut self, _range: Range<usize>) -> Result<(), OsError> {
        Err(ABSENT)
    }
}

/// Batches are not supported on this target.
pub(crate) fn discard_many<'a>(
    _batch: impl Iterator<Item = (&'a mut Reservation, Range<usize>)>,
) -> usize {
    0
}

pub(crate) const fn scan_support() -> Support {
    Support::Absent
}

/// No known limit.
#[cfg(feature = "std")]
pub(crate) const fn max_mappings() -> usize {
    usize::MAX
}

pub(crate) const fn batch_support() -> Support {
    Support::Absent
}
