//! What all systems with `mmap` share.

pub(super) mod call;
pub(super) mod reservation;
mod source;

use wasm_meminit_image_builder::analysis::HostPageSize;

pub(crate) use self::reservation::{Reservation, table_bytes};
pub(crate) use self::source::Source;
use super::{FILE_KIND, anonymous_file, seal};
use crate::error::{Call, OsError};

/// What a call of rustix failed with.
pub(super) const fn failed(call: Call, err: rustix::io::Errno) -> OsError {
    OsError {
        call,
        code: err.raw_os_error(),
    }
}

/// The size of what this machine maps at once.
pub(crate) fn host_page_size() -> HostPageSize {
    let bytes = u64::try_from(rustix::param::page_size()).unwrap_or(0);
    // POSIX: a power of two. No system has pages above 1 GiB.
    HostPageSize::new(bytes).unwrap_or(HostPageSize::KIB_4)
}
