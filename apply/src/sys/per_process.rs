//! State that is valid only in the process that created it: descriptors, and the mapping
//! lock.
//!
//! A page map shows the memory of the process that opened it, and a process descriptor
//! refers to that process. After fork(2) a child would scan or, worse, discard the memory
//! of its parent. So both are kept in a page that the kernel zeroes in a child
//! (`MADV_WIPEONFORK`, madvise(2)), where they are opened again. Comparing process ids
//! instead would cost a system call each time, and miss a reused id.

use core::mem::size_of;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use super::map_lock;
use super::scratch::ScratchPage;
use super::verdict::is_temporary;
use crate::os::{Call, OsError};

/// The descriptors, and whether they work. Each is 0 until it is needed, as the kernel
/// leaves it in a child; then the descriptor plus 1, or a negative error number.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Descriptors {
    pagemap: AtomicI32,
    pidfd: AtomicI32,
    /// See `map_lock`. In a cache line of its own: each reset reads the others.
    map_lock: Padded,
}

#[derive(Debug)]
#[repr(align(128))]
struct Padded(AtomicU32);

/// Which descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Pagemap,
    Pidfd,
}

impl Descriptors {
    const fn cell(&self, which: Which) -> &AtomicI32 {
        match which {
            Which::Pagemap => &self.pagemap,
            Which::Pidfd => &self.pidfd,
        }
    }
}

impl Which {
    /// Returns the call that uses it.
    const fn call(self) -> Call {
        match self {
            Self::Pagemap => Call::PagemapScan,
            Self::Pidfd => Call::ProcessMadvise,
        }
    }
}

/// Returns the descriptor of this process; opens it and tries it out with `open` if
/// necessary.
#[inline]
pub(super) fn descriptor(
    which: Which,
    open: fn() -> Result<OwnedFd, OsError>,
) -> Result<BorrowedFd<'static>, OsError> {
    // Each reset calls this, and almost always the descriptor is open.
    if let Some(page) = existing_page() {
        let known = page.cell(which).load(Ordering::Acquire);
        if 0 < known {
            // SAFETY: as in `find`.
            return Ok(unsafe { BorrowedFd::borrow_raw(known - 1) });
        }
    }
    find(which, open)
}

#[cold]
fn find(
    which: Which,
    open: fn() -> Result<OwnedFd, OsError>,
) -> Result<BorrowedFd<'static>, OsError> {
    let cell = descriptors()?.cell(which);
    let known = match cell.load(Ordering::Acquire) {
        0 => open_first(cell, open)?,
        known => known,
    };
    if known < 0 {
        return Err(OsError {
            call: which.call(),
            code: -known,
        });
    }
    // SAFETY: the descriptor was stored with `into_raw_fd`, so nothing here closes it. If
    // it is closed elsewhere, calls fail, and it is forgotten.
    Ok(unsafe { BorrowedFd::borrow_raw(known - 1) })
}

fn open_first(cell: &AtomicI32, open: fn() -> Result<OwnedFd, OsError>) -> Result<i32, OsError> {
    let opened = match open() {
        Ok(fd) => with_high_number(fd).into_raw_fd() + 1,
        Err(err) if is_temporary(&err) => return Err(err),
        Err(err) => -err.code,
    };
    match cell.compare_exchange(0, opened, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Ok(opened),
        Err(theirs) => {
            if 0 < opened {
                // SAFETY: the descriptor is from `into_raw_fd`, and nobody else has it.
                drop(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(opened - 1) });
            }
            Ok(theirs)
        }
    }
}

/// Forgets a descriptor that was closed elsewhere: the next call opens another one.
/// Returns whether there was one to forget.
pub(super) fn forget_if_closed(which: Which, fd: BorrowedFd<'_>, err: &OsError) -> bool {
    let closed = [Errno::BADF, Errno::NOTTY].map(Errno::raw_os_error);
    if !closed.contains(&err.code) {
        return false;
    }
    let Ok(descriptors) = descriptors() else {
        return false;
    };
    let known = fd.as_raw_fd() + 1;
    let cell = descriptors.cell(which);
    let forgotten = cell.compare_exchange(known, 0, Ordering::AcqRel, Ordering::Relaxed);
    // Not closed here: the number is unused, or belongs to something else.
    forgotten.is_ok()
}

/// Duplicates a descriptor to a high number. Programs that close all descriptors close
/// ours too; new files get the lowest numbers, so they do not reuse ours soon.
fn with_high_number(fd: OwnedFd) -> OwnedFd {
    const HIGH: RawFd = 960;
    rustix::io::fcntl_dupfd_cloexec(&fd, HIGH).unwrap_or(fd)
}

/// Creates the page, which holds the word of `map_lock`, unless it exists or there is no
/// room for it.
pub(super) fn prepare() {
    // Also if the page exists: the thread that created it may not have set the word yet.
    let _ = descriptors();
}

/// The page, created at the first use; never unmapped.
static PAGE: AtomicPtr<Descriptors> = AtomicPtr::new(ptr::null_mut());

/// Returns the page, unless it has not been needed so far.
#[inline]
fn existing_page() -> Option<&'static Descriptors> {
    let page = NonNull::new(PAGE.load(Ordering::Acquire))?;
    // SAFETY: it is a readable, writable page that is never unmapped, page-aligned, and
    // all its bit patterns are valid. Threads change it only by atomic operations; the
    // kernel zeroes it in a child before that runs.
    Some(unsafe { page.as_ref() })
}

fn descriptors() -> Result<&'static Descriptors, OsError> {
    if existing_page().is_none() {
        let fresh = ScratchPage::new()?;
        fresh.wipe_on_fork()?;
        let made = fresh.as_ptr().cast::<Descriptors>().as_ptr();
        const { assert!(size_of::<Descriptors>() <= 4096) };
        let exchanged =
            PAGE.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire);
        // Otherwise another thread was first, and this page is unmapped.
        if exchanged.is_ok() {
            core::mem::forget(fresh);
        }
    }
    let page = existing_page();
    if let Some(page) = page {
        map_lock::set_word(&page.map_lock.0);
    }
    page.ok_or(OsError {
        call: Call::Mmap,
        code: Errno::NOMEM.raw_os_error(),
    })
}
