//! Sealed memory files.

use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use super::errno::failed;
use crate::fault;
use crate::os::{Call, OsError};

/// Creates a memory file of `len` bytes, all of them holes: memfd_create(2).
pub(super) fn anonymous_file(len: usize) -> Result<OwnedFd, OsError> {
    fault::point(Call::MemfdCreate)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let create = |flags| rustix::fs::memfd_create(c"wasm-meminit", flags);
    let file = create(flags | MemfdFlags::NOEXEC_SEAL)
        // Before Linux 6.3.
        .or_else(|err| {
            if err == Errno::INVAL {
                create(flags)
            } else {
                Err(err)
            }
        })
        .map_err(|err| failed(Call::MemfdCreate, err))?;

    fault::point(Call::Ftruncate)?;
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    rustix::fs::ftruncate(&file, len).map_err(|err| failed(Call::Ftruncate, err))?;
    Ok(file)
}

/// Seals the file: its bytes and length can no longer be changed through any descriptor.
pub(super) fn seal(file: &OwnedFd) -> Result<(), OsError> {
    fault::point(Call::Fcntl)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(file, seals).map_err(|err| failed(Call::Fcntl, err))
}
