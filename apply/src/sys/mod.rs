//! Everything this crate asks of an operating system, and all its `unsafe`.
//!
//! Each file below has the same items with the same signatures. The rest of the crate
//! names `sys::…` and has no `cfg(target_os)` of its own. To port the crate, copy
//! `portable.rs`, fill it in and add two lines here.
//!
//! | file          | for                      | `Reservation`      | `Source`                |
//! |---------------|--------------------------|--------------------|-------------------------|
//! | `linux.rs`    | Linux, Android           | `mmap(PROT_NONE)`  | sealed memory file      |
//! | `unix.rs`     | macOS, BSDs, …           | `mmap(PROT_NONE)`  | unlinked file           |
//! | `portable.rs` | Windows, wasm, Miri, `no_std` | growing buffer | heap                   |
//!
//! `mmap/` is what the first two share.
//!
//! # Safety
//!
//! Four invariants carry every `unsafe` block below:
//!
//! 1. A [`Reservation`] owns its address range: nothing else in the process maps,
//!    protects or unmaps any part of it.
//! 2. Its first `open` bytes are mapped, readable and writable.
//! 3. What is mapped changes only through `&mut Reservation`, and no reference into
//!    the range outlives the borrow of the `Reservation` it came from.
//! 4. The bytes of a [`Source`] never change and it never gets shorter: it is sealed,
//!    or nobody else has it open, or whoever made it has promised that.

#![allow(unsafe_code, reason = "the one module of the project that may")]

// Miri knows no mappings of files, and without `std` there is no rustix: both take
// the portable path.
//
// `test-portable` and `test-unix` are for tests: each alone takes that path on a system
// that has a better one. Both together, as with `--all-features`, change nothing.
#[cfg_attr(
    all(
        feature = "std",
        not(miri),
        any(target_os = "linux", target_os = "android"),
        any(
            not(any(feature = "test-portable", feature = "test-unix")),
            all(feature = "test-portable", feature = "test-unix")
        )
    ),
    path = "linux.rs"
)]
#[cfg_attr(
    all(
        feature = "std",
        not(miri),
        unix,
        not(all(feature = "test-portable", not(feature = "test-unix"))),
        any(
            not(any(target_os = "linux", target_os = "android")),
            all(feature = "test-unix", not(feature = "test-portable"))
        )
    ),
    path = "unix.rs"
)]
#[cfg_attr(
    any(
        not(all(feature = "std", not(miri), unix)),
        all(feature = "test-portable", not(feature = "test-unix"))
    ),
    path = "portable.rs"
)]
mod imp;

use core::ops::Range;

use crate::error::{Call, OsError};

#[cfg(test)]
mod contract;

#[cfg_attr(not(feature = "fault-injection"), path = "no_fault.rs")]
pub(crate) mod fault;

#[cfg(feature = "std")]
pub(crate) use self::imp::max_mappings;
pub(crate) use self::imp::{
    DEFAULT_STRATEGY, Reservation, Source, Written, batch_support, discard_many, discard_support,
    host_page_size, scan_support, table_bytes,
};

/// Why a call is not used that works, or says so.
pub(crate) const NOT_TRUSTED: OsError = OsError {
    call: Call::Madvise,
    code: 0,
};
#[cfg(feature = "std")]
pub(crate) use self::imp::{is_sealed, mapped_in};

/// The host page in bytes.
pub(crate) fn page_bytes() -> usize {
    // Never truncates: a page fits memory.
    usize::try_from(host_page_size().bytes()).unwrap_or(usize::MAX)
}

/// Pages that a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    /// Where, in bytes, as positions in the reservation.
    pub(crate) range: Range<usize>,
    pub(crate) kind: PageKind,
}

/// What a scan says of a page that is present or swapped out.
#[cfg_attr(
    not(all(feature = "std", any(target_os = "linux", target_os = "android"))),
    allow(dead_code, reason = "only Linux scans")
)]
#[cfg_attr(
    any(miri, feature = "test-portable", feature = "test-unix"),
    allow(dead_code, reason = "only Linux scans")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// The process's own: it was written.
    Own,
    /// The kernel's shared page of zeros. Somebody read it and nobody wrote to it; or
    /// zeros were written, and the kernel saved the page.
    Zero,
    /// A page of the mapped file: it was read, and not written.
    File,
}

/// What a scan looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Pages that may have been written.
    Written,
    /// Every page that has an entry in a page table.
    Present,
}

/// A regular file, as a mapping of it has it.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MappedIn {
    /// The unit that mappings are rounded up to, in bytes.
    pub(crate) page_bytes: u64,
    /// The length of the file, in bytes.
    pub(crate) len: u64,
}

/// What the program may do with a part of a [`Reservation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: every access faults.
    None,
    /// Read and write.
    ReadWrite,
}

/// A range of a [`Reservation`], and what it is to show.
#[derive(Clone, Debug)]
pub(crate) struct Part<'a> {
    /// In bytes, as positions in the reservation; multiples of the host page.
    pub(crate) range: Range<usize>,
    pub(crate) backing: Backing<'a>,
}

/// What a page shows that nobody has written to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backing<'a> {
    Zero,
    /// The bytes of a source from a position on.
    File {
        source: &'a Source,
        position: usize,
    },
}
