//! Code shared by all systems with `mmap`.

pub(super) mod call;
pub(super) mod reservation;
mod source;

use std::fs::File;

pub(crate) use self::reservation::{Reservation, table_bytes};
pub(crate) use self::source::Source;
use super::super::{FileError, MappedIn};
use super::{anonymous_file, seal};
use crate::fault;
use crate::os::{Call, OsError};

/// Converts an error of a rustix call.
pub(super) const fn failed(call: Call, err: rustix::io::Errno) -> OsError {
    OsError {
        call,
        code: err.raw_os_error(),
    }
}

/// Checks that a file is regular; its mappings use pages of this machine, as far as
/// fstat(2) can tell.
pub(super) fn regular_file(file: &File) -> Result<MappedIn, FileError> {
    fault::point(Call::Fstat)?;
    let metadata = file.metadata().map_err(|err| OsError {
        call: Call::Fstat,
        code: err.raw_os_error().unwrap_or(0),
    })?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular);
    }
    Ok(MappedIn {
        page_bytes: u64::try_from(page_bytes()).unwrap_or(u64::MAX),
        len: metadata.len(),
    })
}

/// Refuses a file length above the process's file size limit: getrlimit(2),
/// `RLIMIT_FSIZE`. Otherwise ftruncate(2) and pwrite(2) would raise `SIGXFSZ`, which ends
/// the process.
fn check_file_size(len: usize) -> Result<(), OsError> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    match limit.current {
        Some(max) if max < len => Err(failed(Call::Ftruncate, rustix::io::Errno::FBIG)),
        _ => Ok(()),
    }
}

/// Returns the host page size in bytes. POSIX: a power of two.
pub(crate) fn page_bytes() -> usize {
    rustix::param::page_size()
}
