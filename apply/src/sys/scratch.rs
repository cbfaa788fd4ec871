//! A page of our own, to try the kernel out on.

use core::ffi::c_void;
use core::ptr::NonNull;
use std::os::fd::OwnedFd;

use rustix::mm::Advice;

use super::super::{Access, page_bytes};
use super::advice::advise;
use super::failed;
use super::mmap::call;
use super::turns;
use crate::error::{Call, OsError};

/// A page that is readable and writable.
#[derive(Debug)]
pub(super) struct ScratchPage {
    // Invariant: one page of a private mapping, ours alone; readable and writable
    // unless its owner has taken that away.
    start: NonNull<u8>,
}

impl ScratchPage {
    pub(super) fn new() -> Result<Self, OsError> {
        let len = page_bytes();
        let start = call::reserve(len)?;
        let page = Self {
            start: NonNull::new(start.cast())
                .ok_or(failed(Call::Mmap, rustix::io::Errno::NOMEM))?,
        };
        // SAFETY: just mapped, for us, and nobody has its address.
        unsafe { call::protect(start, len, Access::ReadWrite) }?;
        match page.is_readable() {
            true => Ok(page),
            // It would end the process to write to it.
            false => Err(failed(Call::Mprotect, rustix::io::Errno::NOTSUP)),
        }
    }

    /// A private page of a file, which stays as it is.
    pub(super) fn of_file(file: &OwnedFd, offset: u64) -> Result<Self, OsError> {
        let page = Self::new()?;
        let _turn = turns::replacing();
        // SAFETY: the page is ours, and nobody has its address; nobody makes a reference
        // of it.
        let mapped =
            unsafe { call::map_file(page.start.as_ptr().cast(), page_bytes(), file, offset) };
        page.unless_lost(mapped)
    }

    /// The page, or nothing where a call with `MAP_FIXED` has failed: it may have unmapped
    /// the page, and what is there now may be another thread's. So nobody unmaps it.
    pub(super) fn unless_lost(self, mapped: Result<(), OsError>) -> Result<Self, OsError> {
        match mapped {
            Ok(()) => Ok(self),
            Err(err) => {
                core::mem::forget(self);
                Err(err)
            }
        }
    }

    pub(super) const fn as_ptr(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn len(&self) -> usize {
        page_bytes()
    }

    /// Makes the page present.
    pub(super) fn write(&self) {
        self.write_byte(1);
    }

    /// Writes its first byte.
    pub(super) fn write_byte(&self, byte: u8) {
        // SAFETY: writable, by the invariant of the type; no reference exists.
        unsafe { self.start.write_volatile(byte) }
    }

    /// Whether the kernel finds its first bytes readable: futex(2) that waits for a value
    /// compares it first, and says `EFAULT` where it cannot. With no time to wait.
    pub(super) fn is_readable(&self) -> bool {
        let no_time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the kernel checks the address itself, and only reads.
        let done = unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.start.as_ptr(),
                libc::FUTEX_WAIT,
                u32::MAX,
                &raw const no_time,
            )
        };
        done == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EFAULT)
    }

    /// Its first byte.
    pub(super) fn read(&self) -> u8 {
        // SAFETY: readable, by the invariant of the type.
        unsafe { self.start.read_volatile() }
    }

    /// A child of this process finds it zero: Linux 4.14.
    pub(super) fn wipe_on_fork(&self) -> Result<(), OsError> {
        let advice = Advice::LinuxWipeOnFork;
        // SAFETY: ours, and no reference exists.
        unsafe { advise(self.start.as_ptr().cast(), page_bytes(), advice) }
    }
}

impl Drop for ScratchPage {
    fn drop(&mut self) {
        // SAFETY: ours, and `as_ptr` is kept by nobody who drops it.
        let _ = unsafe { call::unmap(self.start.as_ptr().cast::<c_void>(), page_bytes()) };
    }
}
