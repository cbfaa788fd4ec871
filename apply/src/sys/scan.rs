//! What a scan searches for, and what it finds.

use core::ops::Range;

/// Pages found by a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    /// Positions in the reservation, in bytes.
    pub(crate) range: Range<usize>,
    pub(crate) kind: PageKind,
}

/// What a scan reports about a page that is present or swapped out.
#[cfg_attr(
    any(
        not(all(feature = "std", any(target_os = "linux", target_os = "android"))),
        miri,
        feature = "test-portable",
        feature = "test-unix"
    ),
    allow(dead_code, reason = "only Linux scans")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// The process's own page: it was written.
    Own,
    /// The kernel's shared zero page. It was read and not written; or zeros were written,
    /// and the kernel merged the page with the zero page.
    Zero,
    /// A page of the mapped file: it was read and not written.
    File,
}

/// What a scan searches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanFor {
    /// Pages that may have been written.
    Written,
    /// The same, where no file is mapped. Then the kernel reads no description of any
    /// page: those are rarely in a cache, and take a sixth of a reset of 1,024 pages.
    WrittenAnonymous,
    /// Every page that has an entry in a page table.
    Present,
}
