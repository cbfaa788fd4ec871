//! All operating system calls of this crate, and all of its `unsafe` blocks but one: in
//! `image/file.rs`, an unsafe function passes its caller's promise on.
//!
//! Each file below has the same items with the same signatures. The rest of the crate
//! uses `sys::…` and has no `cfg(target_os)` of its own. To port the crate, copy
//! `portable.rs`, `buffer.rs` and `heap.rs`, fill them in and add two lines here.
//!
//! It is the lowest layer: it knows ranges of addresses, files and errors, and imports
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
    reason = "system calls and the memory that they provide need unsafe code"
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

mod access;
mod file;
mod part;
mod scan;

use crate::os::{Call, OsError};

#[cfg(test)]
mod contract;

#[cfg(feature = "std")]
pub(crate) use self::file::{FileError, SealedFile};
#[cfg(feature = "std")]
pub(crate) use self::imp::max_mappings;
pub(crate) use self::imp::{
    HAS_MAPPINGS, OWN_FILES_ARE_SEALED, Reservation, Source, Written, batch_support, discard_many,
    discard_support, page_bytes, scan_support, table_bytes,
};

pub(crate) use self::access::Access;
pub(crate) use self::file::Storage;
pub(crate) use self::part::{Backing, Part};
pub(crate) use self::scan::{PageKind, Pages, ScanFor};

/// The error for a call that is not used, because its effect or its result is not
/// trusted.
pub(crate) const NOT_TRUSTED: OsError = OsError {
    call: Call::Madvise,
    code: 0,
};
