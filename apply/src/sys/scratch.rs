//! A page for trying out the kernel.

use core::ffi::c_void;
use core::ptr::NonNull;

use rustix::mm::Advice;

use super::super::access::Access;
use super::errno::failed;
use super::mmap::call::{self, page_bytes};
use crate::os::{Call, OsError};

/// A readable and writable page.
#[derive(Debug)]
pub(super) struct ScratchPage {
    // Invariant: one page of a private mapping, which we own alone; readable and writable
    // unless its owner has removed that access.
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
        // SAFETY: just mapped, and nobody else has its address.
        unsafe { call::protect(start, len, Access::ReadWrite) }?;
        match page.is_readable() {
            true => Ok(page),
            // Writing to it would end the process.
            false => Err(failed(Call::Mprotect, rustix::io::Errno::NOTSUP)),
        }
    }

    /// Returns the page, or leaks it if a call with `MAP_FIXED` has failed: that may have
    /// unmapped the page, and another thread's mapping may be there now, which must not
    /// be unmapped. `is_ours` says whether memory was mapped, or a file of our own.
    pub(super) fn unless_lost(
        self,
        mapped: Result<(), OsError>,
        is_ours: bool,
    ) -> Result<Self, OsError> {
        let Err(err) = mapped else { return Ok(self) };
        if !call::leaves_range_alone(&err, is_ours) {
            core::mem::forget(self);
        }
        Err(err)
    }

    pub(super) const fn as_ptr(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn len(&self) -> usize {
        page_bytes()
    }

    /// Writes to the page, so that it is present.
    pub(super) fn write(&self) {
        self.write_byte(1);
    }

    /// Writes its first byte.
    pub(super) fn write_byte(&self, byte: u8) {
        // SAFETY: writable, by the invariant of the type; no reference exists.
        unsafe { self.start.write_volatile(byte) }
    }

    /// Returns whether the kernel can read the first bytes: futex(2), waiting for a
    /// value, compares it first, and fails with `EFAULT` if it cannot. The timeout is
    /// zero.
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

    /// Returns its first byte.
    pub(super) fn read(&self) -> u8 {
        // SAFETY: readable, by the invariant of the type.
        unsafe { self.start.read_volatile() }
    }

    /// Makes the page zero in children of this process: Linux 4.14.
    pub(super) fn wipe_on_fork(&self) -> Result<(), OsError> {
        let advice = Advice::LinuxWipeOnFork;
        // SAFETY: we own the page, and no reference to it exists.
        unsafe { call::advise(self.start.as_ptr().cast(), page_bytes(), advice) }
    }
}

impl Drop for ScratchPage {
    fn drop(&mut self) {
        // SAFETY: we own the page, and callers do not keep the result of `as_ptr` longer.
        let _ = unsafe { call::unmap(self.start.as_ptr().cast::<c_void>(), page_bytes()) };
    }
}
