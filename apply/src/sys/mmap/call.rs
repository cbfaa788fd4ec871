//! Wraps each system call once, so that each can be made to fail.

use core::cell::Cell;
use core::ffi::c_void;
use std::os::fd::{AsFd, OwnedFd};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};

use super::super::super::access::Access;
use super::super::errno::failed;
use super::super::map_lock;
use crate::fault;
use crate::os::{Call, OsError};

/// Returns the host page size in bytes. POSIX: a power of two.
pub(crate) fn page_bytes() -> usize {
    rustix::param::page_size()
}

const fn prot(access: Access) -> ProtFlags {
    match access {
        Access::None => ProtFlags::empty(),
        Access::ReadWrite => ProtFlags::READ.union(ProtFlags::WRITE),
    }
}

/// No swap space is reserved for mappings. Only some systems have this flag; the others
/// (such as FreeBSD) reserve none, or do not count private mappings without access.
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

/// Reserves address space: mmap(2) of `len` bytes without access, at any address. Leaves
/// room for one more mapping: a process at its limit could not replace any.
pub(in super::super) fn reserve(len: usize) -> Result<*mut c_void, OsError> {
    let pages = SparePages::take()?;
    fault::point(Call::Mmap)?;
    let _guard = map_lock::lock_exclusive();
    SparePages::probe(pages)?;
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

/// Maps `len` bytes of `file` from `offset` on, read-only, at any address.
pub(super) fn map_view(file: impl AsFd, offset: u64, len: usize) -> Result<*mut c_void, OsError> {
    fault::point(Call::Mmap)?;
    let _guard = map_lock::lock_exclusive();
    // SAFETY: without `MAP_FIXED` no existing mapping changes. Code that
    // creates a reference to the result must ensure that the bytes do not change.
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

/// Checks that there is room for two more mappings: if the process is at its limit,
/// `MAP_FIXED` fails too, and what it left is unknown. This crate [adds no
/// mapping](map_lock) until the result is dropped.
pub(super) fn room() -> Result<map_lock::MapGuard, OsError> {
    let pages = SparePages::take()?;
    // Injected failures count for the mapping that follows.
    fault::point(Call::Mmap)?;
    let guard = map_lock::lock_shared();
    SparePages::probe(pages)?;
    Ok(guard)
}

/// Three pages without access, used to find out whether there is room.
#[derive(Debug)]
struct SparePages(*mut c_void);

std::thread_local! {
    static SPARE: Cell<Option<SparePages>> = const { Cell::new(None) };
}

impl SparePages {
    /// Returns this thread's pages. `None` if there is no address space for them and
    /// address space is limited: that says nothing about mappings, and `MAP_FIXED` needs
    /// no new addresses.
    fn take() -> Result<Option<Self>, OsError> {
        // A thread that is about to end creates new ones.
        if let Some(kept) = SPARE.try_with(Cell::take).ok().flatten() {
            return Ok(Some(kept));
        }
        let _guard = map_lock::lock_exclusive();
        match map_nothing(3 * page_bytes()) {
            Ok(start) => Ok(Some(Self(start))),
            Err(err) if err.code == rustix::io::Errno::NOMEM.raw_os_error() && are_limited() => {
                Ok(None)
            }
            Err(err) => Err(err),
        }
    }

    /// Splits one mapping into three and merges them again, as calls do that replace a
    /// part. On Linux this never exceeds the process's limit.
    fn probe(pages: Option<Self>) -> Result<(), OsError> {
        let Some(pages) = pages else { return Ok(()) };
        let page = page_bytes();
        let middle = pages.0.wrapping_byte_add(page);
        // SAFETY: we own the page, and no reference to it is ever created.
        let split = unsafe { rustix::mm::mprotect(middle, page, MprotectFlags::READ) };
        let done = match split {
            Ok(()) => {
                let flags = MapFlags::PRIVATE | MapFlags::FIXED | NO_RESERVE;
                // SAFETY: as above.
                let mapped =
                    unsafe { rustix::mm::mmap_anonymous(middle, page, prot(Access::None), flags) };
                let mapped = placed(middle, mapped);
                if let Err(err) = &mapped
                    && !leaves_range_alone(err, true)
                {
                    // The pages are leaked: the middle one may belong to someone else now.
                    core::mem::forget(pages);
                    return mapped;
                }
                mapped
            }
            Err(err) => Err(failed(Call::Mprotect, err)),
        };
        let _ = SPARE.try_with(|kept| kept.set(Some(pages)));
        done
    }
}

impl Drop for SparePages {
    fn drop(&mut self) {
        // SAFETY: we own the pages, and nobody else has the address. If it fails, three
        // pages of address space are lost.
        let _ = unsafe { rustix::mm::munmap(self.0, 3 * page_bytes()) };
    }
}

/// Returns whether the process's address space is limited: `RLIMIT_AS`, getrlimit(2).
fn are_limited() -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As);
    limit.current.is_some()
}

/// Replaces `len` bytes at `at` with fresh zeroed memory.
///
/// # Safety
///
/// The caller owns `at..at + len`, and no reference into it is live.
pub(in super::super) unsafe fn map_zero(
    at: *mut c_void,
    len: usize,
    access: Access,
) -> Result<(), OsError> {
    // SAFETY: as for the call itself.
    unsafe { point_fixed(at, len) }?;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | NO_RESERVE;
    // SAFETY: `MAP_FIXED` replaces `at..at + len`, which the caller owns.
    let mapped = unsafe { rustix::mm::mmap_anonymous(at, len, prot(access), flags) };
    placed(at, mapped)
}

/// Replaces `len` bytes at `at` with a private, writable mapping of a file.
///
/// # Safety
///
/// As for [`map_zero`]; and if a reference to the result is created, the bytes of the
/// file must not change while it lives.
pub(in super::super) unsafe fn map_file(
    at: *mut c_void,
    len: usize,
    file: &OwnedFd,
    offset: u64,
) -> Result<(), OsError> {
    // SAFETY: as for the call itself.
    unsafe { point_fixed(at, len) }?;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | NO_RESERVE;
    // SAFETY: `MAP_FIXED` replaces `at..at + len`, which the caller owns.
    let mapped = unsafe { rustix::mm::mmap(at, len, prot(Access::ReadWrite), flags, file, offset) };
    placed(at, mapped)
}

/// An injected failure of `MAP_FIXED` does what a real one may do: it unmaps the range. Whoever
/// still uses it crashes.
///
/// # Safety
///
/// As for [`map_zero`].
unsafe fn point_fixed(at: *mut c_void, len: usize) -> Result<(), OsError> {
    fault::point(Call::Mmap).inspect_err(|err| {
        if !leaves_range_alone(err, true) {
            // SAFETY: the caller owns the range, and takes it for lost.
            let _ = unsafe { rustix::mm::munmap(at, len) };
        }
    })
}

/// Returns whether a failed call with `MAP_FIXED` has changed nothing. After `mlockall`, Linux
/// refuses with `EAGAIN` what would exceed `RLIMIT_MEMLOCK`, before it looks at the range (`do_mmap`).
/// Only a file that is not our own might return that error later.
pub(in super::super) const fn leaves_range_alone(err: &OsError, is_ours: bool) -> bool {
    is_ours && err.is_for_lack_of_locked_memory()
}

/// Checks the result of `MAP_FIXED`: the mapping is at the requested address, or the
/// system did not create it, whatever it returned.
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
    // SAFETY: the caller owns the range.
    let done = unsafe { rustix::mm::mprotect(at, len, flags) };
    done.map_err(|err| failed(Call::Mprotect, err))
}

/// # Safety
///
/// The caller owns `at..at + len`, and no reference into it is live.
pub(in super::super) unsafe fn advise(
    at: *mut c_void,
    len: usize,
    advice: Advice,
) -> Result<(), OsError> {
    fault::point(Call::Madvise)?;
    // SAFETY: the caller owns the range. Discarded pages read as their file or as zero.
    let done = unsafe { rustix::mm::madvise(at, len, advice) };
    done.map_err(|err| failed(Call::Madvise, err))
}

/// What distinguishes a mapping from its neighbours, so that the system does not merge
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Write-only access. Writable mappings count as data (`RLIMIT_DATA`): otherwise
    /// other threads might use up what this part frees, and `MAP_FIXED` would fail.
    Access,
    /// Advice that has no other effect here: `MADV_RANDOM`. If the system does not
    /// support it, read-only access.
    Advice,
}

/// Makes a part of a readable and writable mapping a mapping of its own. If there is no
/// room for one more, nothing changes.
///
/// # Safety
///
/// The caller owns `at..at + len`, and no reference into it is live.
pub(super) unsafe fn separate(at: *mut c_void, len: usize, mark: Mark) -> Result<(), OsError> {
    let flags = match mark {
        Mark::Access => MprotectFlags::WRITE,
        Mark::Advice => {
            // SAFETY: the caller owns the range, and its bytes do not change.
            if unsafe { advise(at, len, Advice::Random) }.is_ok() {
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

/// Removes [`Mark::Advice`]. A failure has no effect that matters.
///
/// # Safety
///
/// As for [`separate`].
pub(super) unsafe fn unmark(at: *mut c_void, len: usize) {
    // SAFETY: the caller owns the range, and its bytes do not change.
    let _ = unsafe { rustix::mm::madvise(at, len, Advice::Normal) };
}

/// # Safety
///
/// The caller owns `at..at + len`, and no reference into it is live.
pub(in super::super) unsafe fn unmap(at: *mut c_void, len: usize) -> Result<(), OsError> {
    fault::point(Call::Munmap)?;
    // SAFETY: the caller owns the range.
    let done = unsafe { rustix::mm::munmap(at, len) };
    done.map_err(|err| failed(Call::Munmap, err))
}
