//! Code shared by all systems with `mmap`.

pub(super) mod call;
pub(super) mod reservation;
mod source;

use std::fs::File;

pub(crate) use self::call::page_bytes;
pub(crate) use self::reservation::{Reservation, table_bytes};
pub(crate) use self::source::Source;
use super::super::file::{FileError, MappedIn};
use crate::fault;
use crate::os::{Call, OsError};

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
