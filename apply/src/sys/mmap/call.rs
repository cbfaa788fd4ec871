//! Each system call once, so that each can be made to fail.

use core::ffi::c_void;
use std::os::fd::{AsFd, OwnedFd};

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use super::super::super::{Access, fault};
use crate::error::{Call, OsError};

use super::failed;
use super::reservation::page_bytes;

const fn prot(access: Access) -> ProtFlags {
    match access {
        Access::None => ProtFlags::empty(),
        Access::Read => ProtFlags::READ,
        Access::ReadWrite => ProtFlags::READ.union(ProtFlags::WRITE),
    }
}

/// Reserves addresses: mmap(2) of `len` bytes without access, wherever there is room.
pub(in super::super) fn reserve(len: usize) -> Result<*mut c_void, OsError> {
    fault::point(Call::Mmap)?;
    // SAFETY: without `MAP_FIXED` no existing mapping changes.
    let start = unsafe {
        rustix::mm::mmap_anonymous(
            core::ptr::null_mut(),
            len,
            ProtFlags::empty(),
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        )
    };
    start.map_err(|err| failed(Call::Mmap, err))
}

/// Maps `len` bytes of `file` from `offset` on, to be read, wherever there is room.
pub(super) fn map_view(file: impl AsFd, offset: u64, len: usize) -> Result<*mut c_void, OsError> {
    fault::point(Call::Mmap)?;
    // SAFETY: without `MAP_FIXED` no existing mapping changes. That the bytes do not
    // change is the business of whoever makes a reference of the result.
    let start = unsafe {
        rustix::mm::mmap(
            core::ptr::null_mut(),
            len,
            ProtFlags::READ,
            MapFlags::PRIVATE,
            file,
            offset,
        )
    };
    start.map_err(|err| failed(Call::Mmap, err))
}

/// Whether there is room for one more mapping, found out by making one: where the
/// process has as many as it may, `MAP_FIXED` fails too, and nobody could say what it
/// left.
///
/// Where addresses are limited too, that says nothing of mappings: `MAP_FIXED` takes no
/// new addresses.
pub(super) fn room() -> Result<(), OsError> {
    let len = page_bytes();
    let start = match reserve(len) {
        Err(err) if err.code == rustix::io::Errno::NOMEM.raw_os_error() && are_limited() => {
            return Ok(());
        }
        start => start?,
    };
    // SAFETY: just mapped, for us, and nobody has its address. Where it fails, a page of
    // address space is lost.
    let _ = unsafe { unmap(start, len) };
    Ok(())
}

/// Whether the process may have only so many addresses: `RLIMIT_AS`, getrlimit(2).
fn are_limited() -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As);
    limit.current.is_some()
}

/// Replaces `len` bytes at `at` by fresh zeroed memory.
///
/// # Safety
///
/// The caller owns `at..at + len`, and no reference into it is live.
pub(in super::super) unsafe fn map_zero(
    at: *mut c_void,
    len: usize,
    access: Access,
) -> Result<(), OsError> {
    fault::point(Call::Mmap)?;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    // SAFETY: `MAP_FIXED` replaces `at..at + len`, which is the caller's.
    let mapped = unsafe { rustix::mm::mmap_anonymous(at, len, prot(access), flags) };
    mapped.map(|_| ()).map_err(|err| failed(Call::Mmap, err))
}

/// Replaces `len` bytes at `at` by a private, writable mapping of a file.
///
/// # Safety
///
/// As for [`map_zero`]; and if a reference is made of the result, the bytes of the
/// file do not change while it lives.
pub(in super::super) unsafe fn map_file(
    at: *mut c_void,
    len: usize,
    file: &OwnedFd,
    offset: u64,
) -> Result<(), OsError> {
    fault::point(Call::Mmap)?;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    // SAFETY: `MAP_FIXED` replaces `at..at + len`, which is the caller's.
    let mapped = unsafe { rustix::mm::mmap(at, len, prot(Access::ReadWrite), flags, file, offset) };
    mapped.map(|_| ()).map_err(|err| failed(Call::Mmap, err))
}

/// # Safety
///
/// The caller owns `at..at + len`, and no reference into it is live.
pub(in super::super) unsafe fn protect(
    at: *mut c_void,
    len: usize,
    access: Access,
) -> Result<(), OsError> {
    fault::point(Call::Mprotect)?;
    let flags = match access {
        Access::None => MprotectFlags::empty(),
        Access::Read => MprotectFlags::READ,
        Access::ReadWrite => MprotectFlags::READ | MprotectFlags::WRITE,
    };
    // SAFETY: what changes is the caller's.
    let done = unsafe { rustix::mm::mprotect(at, len, flags) };
    done.map_err(|err| failed(Call::Mprotect, err))
}

/// # Safety
///
/// The caller owns `at..at + len`, and no reference into it is live.
pub(in super::super) unsafe fn unmap(at: *mut c_void, len: usize) -> Result<(), OsError> {
    fault::point(Call::Munmap)?;
    // SAFETY: what is unmapped is the caller's.
    let done = unsafe { rustix::mm::munmap(at, len) };
    done.map_err(|err| failed(Call::Munmap, err))
}
