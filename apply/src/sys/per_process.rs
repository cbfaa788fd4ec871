//! What is good only in the process that made it: descriptors, and whose turn it is.
//!
//! A page map shows the memory of the process that opened it, and a process descriptor
//! names it. After fork(2) a child would look at, or worse, advise away, the memory of
//! its parent. So both are kept in a page that the kernel empties in a child
//! (`MADV_WIPEONFORK`, madvise(2)): there they are opened again. To ask for the process
//! id instead would cost a system call each time, and miss an id that is used again.

use core::mem::size_of;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use super::scratch::ScratchPage;
use crate::error::{Call, OsError};

/// One descriptor, and whether what it is for works. Each is 0 until it is asked for,
/// as the kernel leaves it in a child; then the descriptor plus 1, or an error number,
/// negative.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Descriptors {
    pagemap: AtomicI32,
    pidfd: AtomicI32,
    /// See `turns`. In a cache line of its own: each reset reads the others.
    turns: Padded,
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
    /// What opens it.
    const fn call(self) -> Call {
        match self {
            Self::Pagemap => Call::PagemapScan,
            Self::Pidfd => Call::ProcessMadvise,
        }
    }
}

/// The descriptor of this process; opened, and tried out, by `open` where it is not yet.
#[inline]
pub(super) fn descriptor(
    which: Which,
    open: fn() -> Result<OwnedFd, OsError>,
) -> Result<BorrowedFd<'static>, OsError> {
    // Each reset asks, and nearly always it is known.
    if let Some(page) = known() {
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
    // SAFETY: whoever stored it gave up owning it. Where somebody else closes it all the
    // same, calls say so, and it is forgotten.
    Ok(unsafe { BorrowedFd::borrow_raw(known - 1) })
}

fn open_first(cell: &AtomicI32, open: fn() -> Result<OwnedFd, OsError>) -> Result<i32, OsError> {
    let opened = match open() {
        Ok(fd) => out_of_the_way(fd).into_raw_fd() + 1,
        Err(err) if is_passing(&err) => return Err(err),
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

/// Forgets a descriptor that somebody else has closed: the next call opens another one.
/// Whether there was anything to forget.
pub(super) fn forget(which: Which, fd: BorrowedFd<'_>, err: &OsError) -> bool {
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
    // Not closed: the number is nobody's, or somebody else's.
    forgotten.is_ok()
}

/// The same descriptor with a high number. Programs that close all descriptors close
/// ours too; new files get the lowest numbers, and so not ours soon.
fn out_of_the_way(fd: OwnedFd) -> OwnedFd {
    const HIGH: RawFd = 960;
    rustix::io::fcntl_dupfd_cloexec(&fd, HIGH).unwrap_or(fd)
}

/// Whether the same call may succeed later: out of descriptors or memory. Also what
/// tests inject, so that it fails them and nobody else.
pub(super) fn is_passing(err: &OsError) -> bool {
    let passing = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::AGAIN,
        Errno::INTR,
    ];
    passing.map(Errno::raw_os_error).contains(&err.code)
}

/// The word of `turns`, unless there is no room for it.
pub(super) fn turns() -> Option<&'static AtomicU32> {
    descriptors().ok().map(|page| &page.turns.0)
}

/// The same, unless nobody has needed it so far.
pub(super) fn known_turns() -> Option<&'static AtomicU32> {
    known().map(|page| &page.turns.0)
}

/// The page, made by whoever comes first; never unmapped.
static PAGE: AtomicPtr<Descriptors> = AtomicPtr::new(ptr::null_mut());

/// The page, where somebody has needed it already.
#[inline]
fn known() -> Option<&'static Descriptors> {
    let page = NonNull::new(PAGE.load(Ordering::Acquire))?;
    // SAFETY: it is a readable, writable page that is never unmapped, aligned as pages
    // are, and all its bit patterns are numbers. Threads change it by atomics only; the
    // kernel zeroes it in a child before that runs.
    Some(unsafe { page.as_ref() })
}

fn descriptors() -> Result<&'static Descriptors, OsError> {
    if known().is_none() {
        let fresh = ScratchPage::new()?;
        fresh.wipe_on_fork()?;
        let made = fresh.as_ptr().cast::<Descriptors>().as_ptr();
        const { assert!(size_of::<Descriptors>() <= 4096) };
        let exchanged =
            PAGE.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire);
        // Otherwise another thread was first, and this page is dropped.
        if exchanged.is_ok() {
            core::mem::forget(fresh);
        }
    }
    known().ok_or(OsError {
        call: Call::Mmap,
        code: Errno::NOMEM.raw_os_error(),
    })
}
