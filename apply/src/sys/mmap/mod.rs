//! What all systems with `mmap` share.

pub(super) mod call;
pub(super) mod reservation;
mod source;

use std::fs::File;

use wasm_meminit_image_builder::analysis::HostPageSize;

pub(crate) use self::reservation::{Reservation, table_bytes};
pub(crate) use self::source::Source;
use super::super::{MappedIn, fault};
use super::{FILE_KIND, anonymous_file, seal};
use crate::error::{Call, ImageError, OsError};

/// What a call of rustix failed with.
pub(super) const fn failed(call: Call, err: rustix::io::Errno) -> OsError {
    OsError {
        call,
        code: err.raw_os_error(),
    }
}

/// A file that is mapped in pages of this machine, as far as fstat(2) can tell.
pub(super) fn regular_file(file: &File) -> Result<MappedIn, ImageError> {
    fault::point(Call::Fstat)?;
    let metadata = file.metadata().map_err(|err| OsError {
        call: Call::Fstat,
        code: err.raw_os_error().unwrap_or(0),
    })?;
    if !metadata.is_file() {
        return Err(ImageError::NotRegular);
    }
    Ok(MappedIn {
        page_bytes: host_page_size().bytes(),
        len: metadata.len(),
    })
}

/// Refuses a file length that the process may not give a file: getrlimit(2),
/// `RLIMIT_FSIZE`. Without it, ftruncate(2) and pwrite(2) raise `SIGXFSZ`, which ends the
/// process.
fn check_file_size(len: usize) -> Result<(), OsError> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    match limit.current {
        Some(max) if max < len => Err(failed(Call::Ftruncate, rustix::io::Errno::FBIG)),
        _ => Ok(()),
    }
}

/// The size of what this machine maps at once.
pub(crate) fn host_page_size() -> HostPageSize {
    let bytes = u64::try_from(rustix::param::page_size()).unwrap_or(0);
    // POSIX: a power of two. No system has pages above 1 GiB.
    HostPageSize::new(bytes).unwrap_or(HostPageSize::KIB_4)
}
