//! Pages let go and fetched, one range or many at a time: madvise(2),
//! process_madvise(2).

use alloc::vec::Vec;
use core::ffi::c_void;
use core::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::mm::Advice;
use rustix::process::PidfdFlags;

use super::mmap::Reservation;
use super::per_process::{Which, descriptor};
use super::scratch::ScratchPage;
use super::{failed, fault};
use crate::capabilities::Support;
use crate::error::{Call, OsError};

/// How many ranges one call takes: `UIO_MAXIOV`.
const MAX_RANGES: usize = 1024;

impl Reservation {
    /// Lets pages go: private mappings show their file again, the rest is zero.
    pub(crate) fn discard(&mut self, range: Range<usize>) -> Result<(), OsError> {
        self.advise(range, Advice::LinuxDontNeed)
    }

    /// The same for several ranges, in one call where the kernel takes them.
    pub(crate) fn discard_ranges(&mut self, ranges: &[Range<usize>]) -> Result<(), OsError> {
        if let [range] = ranges {
            return self.discard(range.clone());
        }
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges {
            parts.extend(self.part(range)?);
        }
        let n_done = advise_away(&parts);
        for range in ranges.iter().skip(n_done) {
            self.discard(range.clone())?;
        }
        Ok(())
    }

    /// Faults pages in, writable, as a write to each would: Linux 5.14.
    pub(crate) fn populate(&mut self, range: Range<usize>) -> Result<(), OsError> {
        self.advise(range, Advice::LinuxPopulateWrite)
    }

    /// Tells the system how pages of the range are used. Their access stays.
    fn advise(&mut self, range: Range<usize>, advice: Advice) -> Result<(), OsError> {
        let Some((at, len)) = self.part(&range)? else {
            return Ok(());
        };
        // SAFETY: `part` checked that the range is ours; `&mut self` excludes live
        // references into it (invariant 3).
        unsafe { advise(at, len, advice) }
    }
}

/// Lets one range of each go, in as few calls as the kernel takes. Returns of how many
/// that is true, the first ones.
pub(crate) fn discard_many(batch: &mut [(&mut Reservation, Range<usize>)]) -> usize {
    let mut parts = Vec::with_capacity(batch.len());
    for (memory, range) in batch {
        match memory.part(range) {
            // An empty range keeps its place.
            Ok(part) => parts.push(part.unwrap_or((memory.as_ptr().cast(), 0))),
            Err(_) => break,
        }
    }
    advise_away(&parts)
}

/// Whether the kernel takes a batch for the own process: Linux 6.13.
pub(crate) fn batch_support() -> Support {
    descriptor(Which::Pidfd, open).map_or_else(Support::Refused, |_| Support::Yes)
}

/// Opens a descriptor of this process, and tries it out.
fn open() -> Result<OwnedFd, OsError> {
    fault::point(Call::PidfdOpen)?;
    let pidfd = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
        .map_err(|err| failed(Call::PidfdOpen, err))?;
    let page = ScratchPage::new()?;
    page.write();
    let parts = [(page.as_ptr().as_ptr().cast(), page.len())];
    // SAFETY: the page is ours, and has no references.
    let n = unsafe { process_madvise(std::os::fd::AsFd::as_fd(&pidfd), &parts) }?;
    if n == page.len() && page.read() == 0 {
        Ok(pidfd)
    } else {
        Err(failed(Call::ProcessMadvise, Errno::NOTSUP))
    }
}

/// Ranges come from `&mut Reservation`s that live: see the callers. Returns how many
/// of them, from the first one on, are done.
fn advise_away(parts: &[(*mut c_void, usize)]) -> usize {
    let Ok(pidfd) = descriptor(Which::Pidfd, open) else {
        return 0;
    };
    let mut n_done = 0;
    while let Some(rest) = parts.get(n_done..).filter(|rest| !rest.is_empty()) {
        let chunk = &rest[..rest.len().min(MAX_RANGES)];
        // SAFETY: each part is a range of a `Reservation`, checked by `part`, that is
        // borrowed exclusively while this runs (invariants 1 and 3).
        let Ok(mut n_bytes) = (unsafe { process_madvise(pidfd, chunk) }) else {
            return n_done;
        };
        let n_before = n_done;
        for (_, len) in chunk {
            match n_bytes.checked_sub(*len) {
                Some(rest) => n_bytes = rest,
                None => break,
            }
            n_done += 1;
        }
        if n_done == n_before {
            return n_done;
        }
    }
    n_done
}

/// # Safety
///
/// The caller owns `at..at + len`, and no reference into it is live.
pub(super) unsafe fn advise(at: *mut c_void, len: usize, advice: Advice) -> Result<(), OsError> {
    fault::point(Call::Madvise)?;
    // SAFETY: what is advised is the caller's. Pages that go show their file or zeros.
    let done = unsafe { rustix::mm::madvise(at, len, advice) };
    done.map_err(|err| failed(Call::Madvise, err))
}

/// Returns how many bytes of the ranges, in order, were advised.
///
/// # Safety
///
/// The caller owns the ranges, and no reference into them is live.
unsafe fn process_madvise(
    pidfd: BorrowedFd<'_>,
    parts: &[(*mut c_void, usize)],
) -> Result<usize, OsError> {
    fault::point(Call::ProcessMadvise)?;
    let iovecs: Vec<libc::iovec> = parts
        .iter()
        .map(|&(iov_base, iov_len)| libc::iovec { iov_base, iov_len })
        .collect();
    // SAFETY: `iovecs` is that long; what is advised away is the caller's, and shows
    // its file or zeros from now on.
    let n = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            pidfd.as_raw_fd(),
            iovecs.as_ptr(),
            iovecs.len(),
            libc::MADV_DONTNEED,
            0,
        )
    };
    usize::try_from(n).map_err(|_| OsError {
        call: Call::ProcessMadvise,
        code: std::io::Error::last_os_error().raw_os_error().unwrap_or(0),
    })
}
