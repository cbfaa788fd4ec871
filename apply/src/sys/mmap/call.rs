//! Each system call once, so that each can be made to fail.

use core::cell::Cell;
use core::ffi::c_void;
use std::os::fd::{AsFd, OwnedFd};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

use super::super::super::{Access, fault, page_bytes};
use super::super::turns;
use crate::error::{Call, OsError};

use super::failed;

const fn prot(access: Access) -> ProtFlags {
    match access {
        Access::None => ProtFlags::empty(),
        Access::ReadWrite => ProtFlags::READ.union(ProtFlags::WRITE),
    }
}

/// No swap space is set aside for what is mapped. Only some systems know the flag; the
/// others (FreeBSD, for one) set none aside, or count what is private and without access
/// for nothing.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "netbsd",
    target_vendor = "apple"
))]
const NO_RESERVE: MapFlags = MapFlags::NORESERVE;
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "netbsd",
    target_vendor = "apple"
)))]
const NO_RESERVE: MapFlags = MapFlags::empty();

/// Reserves addresses: mmap(2) of `len` bytes without access, wherever there is room. It
/// leaves room for one mapping more: the last one that the process may have would be in the
/// way of others.
pub(in super::super) fn reserve(len: usize) -> Result<*mut c_void, OsError> {
    let pages = SparePages::take()?;
    fault::point(Call::Mmap)?;
    let _turn = turns::adding();
    SparePages::look(pages)?;
    map_nothing(len)
}

fn map_nothing(len: usize) -> Result<*mut c_void, OsError> {
    // SAFETY: without `MAP_FIXED` no existing mapping changes.
    let start = unsafe {
        rustix::mm::mmap_anonymous(
            core::ptr::null_mut(),
            len,
            ProtFlags::empty(),
            MapFlags::PRIVATE | NO_RESERVE,
        )
    };
    start.map_err(|err| failed(Call::Mmap, err))
}

/// Maps `len` bytes of `file` from `offset` on, to be read, wherever there is room.
pub(super) fn map_view(file: impl AsFd, offset: u64, len: usize) -> Result<*mut c_void, OsError> {
    fault::point(Call::Mmap)?;
    let _turn = turns::adding();
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

/// Whether there is room for two more mappings: where the process has as many as it may,
/// `MAP_FIXED` fails too, and nobody could say what it left. Nothing of ours
/// [adds one](turns) until the result is dropped.
pub(super) fn room() -> Result<turns::Turn, OsError> {
    let pages = SparePages::take()?;
    // In the name of the mapping that it is for.
    fault::point(Call::Mmap)?;
    let turn = turns::replacing();
    SparePages::look(pages)?;
    Ok(turn)
}

/// Three pages without access, to find out whether there is room.
#[derive(Debug)]
struct SparePages(*mut c_void);

std::thread_local! {
    static SPARE: Cell<Option<SparePages>> = const { Cell::new(None) };
}

impl SparePages {
    /// Those of this thread. None where there are no addresses for them and those are
    /// limited: that says nothing of mappings, and `MAP_FIXED` takes no new addresses.
    fn take() -> Result<Option<Self>, OsError> {
        // A thread that is about to end makes some anew.
        if let Some(kept) = SPARE.try_with(Cell::take).ok().flatten() {
            return Ok(Some(kept));
        }
        let _turn = turns::adding();
        match map_nothing(3 * page_bytes()) {
            Ok(start) => Ok(Some(Self(start))),
            Err(err) if err.code == rustix::io::Errno::NOMEM.raw_os_error() && are_limited() => {
                Ok(None)
            }
            Err(err) => Err(err),
        }
    }

    /// Makes three mappings of one, and one of three, as calls do that replace a part. On
    /// Linux that never exceeds what the process may have.
    fn look(pages: Option<Self>) -> Result<(), OsError> {
        let Some(pages) = pages else { return Ok(()) };
        let page = page_bytes();
        let middle = pages.0.wrapping_byte_add(page);
        // SAFETY: the page is ours, and nobody makes a reference of it.
        let seen = unsafe { rustix::mm::mprotect(middle, page, MprotectFlags::READ) };
        if seen.is_ok() {
            let flags = MapFlags::PRIVATE | MapFlags::FIXED | NO_RESERVE;
            // SAFETY: as above.
            let mapped =
                unsafe { rustix::mm::mmap_anonymous(middle, page, prot(Access::None), flags) };
            if let Err(err) = placed(middle, mapped) {
                // The pages are given up: the middle may be somebody else's.
                core::mem::forget(pages);
                return Err(err);
            }
        }
        let _ = SPARE.try_with(|kept| kept.set(Some(pages)));
        seen.map_err(|err| failed(Call::Mprotect, err))
    }
}

impl Drop for SparePages {
    fn drop(&mut self) {
        // SAFETY: ours, and nobody else has the address. Where it fails, three pages of
        // address space are lost.
        let _ = unsafe { rustix::mm::munmap(self.0, 3 * page_bytes()) };
    }
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
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | NO_RESERVE;
    // SAFETY: `MAP_FIXED` replaces `at..at + len`, which is the caller's.
    let mapped = unsafe { rustix::mm::mmap_anonymous(at, len, prot(access), flags) };
    placed(at, mapped)
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
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | NO_RESERVE;
    // SAFETY: `MAP_FIXED` replaces `at..at + len`, which is the caller's.
    let mapped = unsafe { rustix::mm::mmap(at, len, prot(Access::ReadWrite), flags, file, offset) };
    placed(at, mapped)
}

/// With `MAP_FIXED` a mapping is where it was asked for, or the system has not done it,
/// whatever it says.
fn placed(at: *mut c_void, mapped: Result<*mut c_void, rustix::io::Errno>) -> Result<(), OsError> {
    match mapped {
        Ok(found) if found == at => Ok(()),
        Ok(_) => Err(failed(Call::Mmap, rustix::io::Errno::NOTSUP)),
        Err(err) => Err(failed(Call::Mmap, err)),
    }
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
        Access::ReadWrite => MprotectFlags::READ | MprotectFlags::WRITE,
    };
    // SAFETY: what changes is the caller's.
    let done = unsafe { rustix::mm::mprotect(at, len, flags) };
    done.map_err(|err| failed(Call::Mprotect, err))
}

/// What tells a mapping from its neighbours, so that the system does not merge them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It may be written and not read. What may be written counts as data (`RLIMIT_DATA`):
    /// otherwise other threads might use up what this part leaves, and `MAP_FIXED` would
    /// fail.
    Access,
    /// Advice that changes nothing here: `MADV_RANDOM`. Where the system takes none, it may
    /// be read and not written.
    Advice,
}

/// Makes a part of what is readable and writable a mapping of its own. Where there is no
/// room for one more, nothing changes.
///
/// # Safety
///
/// The caller owns `at..at + len`, and no reference into it is live.
pub(super) unsafe fn separate(at: *mut c_void, len: usize, mark: Mark) -> Result<(), OsError> {
    let flags = match mark {
        Mark::Access => MprotectFlags::WRITE,
        Mark::Advice => {
            // SAFETY: what changes is the caller's, and the bytes stay.
            let advise = || unsafe { rustix::mm::madvise(at, len, Advice::Random) };
            if fault::point(Call::Madvise).is_ok() && advise().is_ok() {
                return Ok(());
            }
            MprotectFlags::READ
        }
    };
    fault::point(Call::Mprotect)?;
    // SAFETY: as above.
    let done = unsafe { rustix::mm::mprotect(at, len, flags) };
    done.map_err(|err| failed(Call::Mprotect, err))
}

/// Takes [`Mark::Advice`] back. Where it fails, nothing that matters is different.
///
/// # Safety
///
/// As for [`separate`].
pub(super) unsafe fn unmark(at: *mut c_void, len: usize) {
    // SAFETY: what changes is the caller's, and the bytes stay.
    let _ = unsafe { rustix::mm::madvise(at, len, Advice::Normal) };
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
