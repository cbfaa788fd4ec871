//! All operating system calls of this crate, and all its `unsafe`.
//!
//! Each file below has the same items with the same signatures. The rest of the crate
//! uses `sys::…` and has no `cfg(target_os)` of its own. To port the crate, copy
//! `portable.rs`, fill it in and add two lines here.
//!
//! It is the lowest floor: it knows ranges of addresses, files and errors, and imports
//! nothing from the rest of the crate but `os.rs` (errors), `bytes.rs` and `fault.rs`.
//!
//! | file          | for                      | `Reservation`      | `Source`                |
//! |---------------|--------------------------|--------------------|-------------------------|
//! | `linux.rs`    | Linux, Android           | `mmap(PROT_NONE)`  | sealed memory file      |
//! | `unix.rs`     | macOS, BSDs, …           | `mmap(PROT_NONE)`  | unlinked file           |
//! | `portable.rs` | Windows, wasm, Miri, `no_std` | growing buffer | heap                   |
//!
//! `mmap/` is shared by the first two.
//!
//! # Safety
//!
//! Every `unsafe` block below relies on four invariants:
//!
//! 1. A [`Reservation`] owns its address range: nothing else in the process maps,
//!    protects or unmaps any part of it.
//! 2. Its first `open` bytes are mapped, readable and writable.
//! 3. What is mapped changes only through `&mut Reservation`, and no reference into
//!    the range outlives the borrow of the `Reservation` it came from.
//! 4. The bytes of a [`Source`] never change and it never gets shorter: it is sealed, or
//!    nobody else has it open, or its creator has promised that.

#![allow(
    unsafe_code,
    reason = "the only module of the project with unsafe code"
)]

// Miri does not support file mappings, and without `std` there is no rustix: both use the
// portable path.
//
// `test-portable` and `test-unix` are for tests: each alone selects that path on a system
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

use crate::os::{Call, OsError};

#[cfg(test)]
mod contract;

#[cfg(feature = "std")]
pub(crate) use self::imp::max_mappings;
pub(crate) use self::imp::{
    HAS_MAPPINGS, OWN_FILES_ARE_SEALED, Reservation, Source, Written, batch_support, discard_many,
    discard_support, page_bytes, scan_support, table_bytes,
};

/// The error for a call that is not used, because its effect or its result is not
/// trusted.
pub(crate) const NOT_TRUSTED: OsError = OsError {
    call: Call::Madvise,
    code: 0,
};
#[cfg(feature = "std")]
pub(crate) use self::imp::{is_sealed, mapped_in};

/// Pages found by a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    /// Positions in the reservation, in bytes.
    pub(crate) range: Range<usize>,
    pub(crate) kind: PageKind,
}

/// What a scan reports about a page that is present or swapped out.
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
    /// Every page that has an entry in a page table.
    Present,
}

/// How a [`Source`] stores its bytes, and so what can be mapped of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "only `Heap` is used on targets without mappings")]
pub(crate) enum Storage {
    /// On the heap, one part after the other: nothing can be mapped.
    Heap,
    /// In the caller's file, one part after the other: each can be mapped on its own.
    Packed,
    /// In a file of our own, each part at its position: parts can be mapped together with
    /// the holes between them.
    Sparse,
}

/// Why a file cannot be mapped.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "targets without mappings report only that, the others never do"
)]
pub(crate) enum FileError {
    /// It is not a regular file.
    NotRegular,
    /// This target cannot map files.
    Unsupported,
    /// The system refused.
    Os(OsError),
}

#[cfg(feature = "std")]
impl From<OsError> for FileError {
    fn from(err: OsError) -> Self {
        Self::Os(err)
    }
}

/// Properties of a regular file that matter for mapping it.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MappedIn {
    /// The unit that mappings are rounded up to, in bytes.
    pub(crate) page_bytes: u64,
    /// The length of the file, in bytes.
    pub(crate) len: u64,
}

/// Access to a part of a [`Reservation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// No access: every access faults.
    None,
    /// Read and write.
    ReadWrite,
}

/// A range of a [`Reservation`], and what it will show.
#[derive(Clone, Debug)]
pub(crate) struct Part<'a> {
    /// Positions in the reservation, in bytes; multiples of the host page.
    pub(crate) range: Range<usize>,
    pub(crate) backing: Backing<'a>,
}

/// What a page shows until it is written to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backing<'a> {
    Zero,
    /// The bytes of a source, from a position on.
    File {
        source: &'a Source,
        position: usize,
    },
}
