//! Discards and prefetches pages, one range or many at a time: madvise(2),
//! process_madvise(2).

use core::ffi::c_void;
use core::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::mm::Advice;
use rustix::process::PidfdFlags;

use super::errno::failed;
use super::mmap::Reservation;
use super::mmap::call::advise;
use super::per_process::{Which, descriptor, forget_if_closed};
use super::scratch::ScratchPage;
use crate::fault;
use crate::os::{Call, OsError, Support};

/// The maximum number of ranges in one call, in a list on the stack; `UIO_MAXIOV` is
/// 1,024.
const MAX_RANGES: usize = 256;

/// The maximum number of bytes in one call, in whole pages of any size that Linux has:
/// slightly less than `MAX_RW_COUNT`, at which the kernel truncates the list.
const MAX_BYTES: usize = (1 << 31) - (1 << 16);

impl Reservation {
    /// Discards pages: private mappings show their file again, other pages read as zero.
    pub(crate) fn discard(&mut self, range: Range<usize>) -> Result<(), OsError> {
        self.advise(range, Advice::LinuxDontNeed)
    }

    /// Discards several ranges, in one call if the kernel supports it.
    pub(crate) fn discard_ranges(&mut self, ranges: &[Range<usize>]) -> Result<(), OsError> {
        if let [range] = ranges {
            return self.discard(range.clone());
        }
        for ranges in ranges.chunks(MAX_RANGES) {
            let mut parts = [(core::ptr::null_mut(), 0); MAX_RANGES];
            let mut n_parts = 0;
            for range in ranges {
                if let Some(part) = self.part(range)? {
                    parts[n_parts] = part;
                    n_parts += 1;
                }
            }
            let n_done = discard_parts(&parts[..n_parts]);
            for range in ranges.iter().skip(n_done) {
                self.discard(range.clone())?;
            }
        }
        Ok(())
    }

    /// Faults in pages, writable, as a write to each would: Linux 5.14.
    pub(crate) fn populate(&mut self, range: Range<usize>) -> Result<(), OsError> {
        self.advise(range, Advice::LinuxPopulateWrite)
    }

    /// Gives the system advice about a range. Its access does not change.
    fn advise(&mut self, range: Range<usize>, advice: Advice) -> Result<(), OsError> {
        let Some((at, len)) = self.part(&range)? else {
            return Ok(());
        };
        // SAFETY: `part` checked that the range is ours; `&mut self` excludes live
        // references into it (invariant 3).
        unsafe { advise(at, len, advice) }
    }
}

/// Discards one range of each reservation, in as few calls as the kernel allows. Returns
/// how many reservations are done, counted from the first; at most [`MAX_RANGES`].
/// Allocates nothing.
pub(crate) fn discard_many<'a>(
    batch: impl Iterator<Item = (&'a mut Reservation, Range<usize>)>,
) -> usize {
    let mut parts = [(core::ptr::null_mut(), 0); MAX_RANGES];
    let mut n_parts = 0;
    for ((memory, range), place) in batch.zip(&mut parts) {
        match memory.part(&range) {
            // An empty range keeps its place.
            Ok(part) => *place = part.unwrap_or((memory.as_ptr().cast(), 0)),
            Err(_) => break,
        }
        n_parts += 1;
    }
    discard_parts(&parts[..n_parts])
}

/// Returns whether the kernel supports batches for the calling process: Linux 6.13.
pub(crate) fn batch_support() -> Support {
    descriptor(Which::Pidfd, open).map_or_else(Support::Refused, |_| Support::Yes)
}

/// Opens a process descriptor for this process, and tries it out.
fn open() -> Result<OwnedFd, OsError> {
    fault::point(Call::PidfdOpen)?;
    let pidfd = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
        .map_err(|err| failed(Call::PidfdOpen, err))?;
    let page = ScratchPage::new()?;
    page.write();
    discard_page_by(std::os::fd::AsFd::as_fd(&pidfd), &page)?;
    if page.read() == 0 {
        Ok(pidfd)
    } else {
        Err(failed(Call::ProcessMadvise, Errno::NOTSUP))
    }
}

/// Discards a page as a batch does.
pub(super) fn discard_page(page: &ScratchPage) -> Result<(), OsError> {
    discard_page_by(descriptor(Which::Pidfd, open)?, page)
}

fn discard_page_by(pidfd: BorrowedFd<'_>, page: &ScratchPage) -> Result<(), OsError> {
    let parts = [libc::iovec {
        iov_base: page.as_ptr().as_ptr().cast(),
        iov_len: page.len(),
    }];
    // SAFETY: we own the page, and no references to it exist.
    let n = unsafe { process_madvise(pidfd, &parts) }?;
    if n == page.len() {
        Ok(())
    } else {
        Err(failed(Call::ProcessMadvise, Errno::NOTSUP))
    }
}

/// The ranges come from live `&mut Reservation`s: see the callers. Returns how many of
/// them are done, counted from the first.
fn discard_parts(parts: &[(*mut c_void, usize)]) -> usize {
    let Ok(pidfd) = descriptor(Which::Pidfd, open) else {
        return 0;
    };
    let mut progress = Progress::default();
    let mut buffer = EMPTY;
    loop {
        let chunk = progress.chunk(parts, &mut buffer);
        if chunk.is_empty() {
            return progress.n_done;
        }
        // SAFETY: each part is a range of a `Reservation`, checked by `part`, that is
        // borrowed exclusively while this runs (invariants 1 and 3).
        let n_bytes = match unsafe { process_madvise(pidfd, chunk) } {
            Ok(n_bytes) => n_bytes,
            Err(err) => {
                forget_if_closed(Which::Pidfd, pidfd, &err);
                return progress.n_done;
            }
        };
        if !progress.add(parts, n_bytes) {
            return progress.n_done;
        }
    }
}

const EMPTY: [libc::iovec; MAX_RANGES] = [libc::iovec {
    iov_base: core::ptr::null_mut(),
    iov_len: 0,
}; MAX_RANGES];

/// Progress through a list of ranges.
#[derive(Debug, Default)]
struct Progress {
    /// The number of ranges that are done.
    n_done: usize,
    /// The number of bytes done in the next one.
    n_bytes: usize,
}

impl Progress {
    /// Returns the next ranges: as much as fits one call.
    fn chunk<'b>(
        &self,
        parts: &[(*mut c_void, usize)],
        buffer: &'b mut [libc::iovec; MAX_RANGES],
    ) -> &'b [libc::iovec] {
        let mut room = MAX_BYTES;
        let mut done = self.n_bytes;
        let mut n_parts = 0;
        for (&(at, len), part) in parts.iter().skip(self.n_done).zip(&mut *buffer) {
            let take = (len - done).min(room);
            *part = libc::iovec {
                iov_base: at.wrapping_byte_add(done),
                iov_len: take,
            };
            n_parts += 1;
            room -= take;
            done = 0;
            if room == 0 {
                break;
            }
        }
        &buffer[..n_parts]
    }

    /// Records that `n_bytes` more are done. Returns false if that makes no progress.
    fn add(&mut self, parts: &[(*mut c_void, usize)], n_bytes: usize) -> bool {
        let before = (self.n_done, self.n_bytes);
        self.n_bytes += n_bytes;
        while let Some((_, len)) = parts.get(self.n_done)
            && *len <= self.n_bytes
        {
            self.n_bytes -= len;
            self.n_done += 1;
        }
        before != (self.n_done, self.n_bytes)
    }
}

/// Returns how many bytes of the ranges, in order, were advised.
///
/// # Safety
///
/// The caller owns the ranges, and no reference into them is live.
unsafe fn process_madvise(pidfd: BorrowedFd<'_>, parts: &[libc::iovec]) -> Result<usize, OsError> {
    match fault::point(Call::ProcessMadvise) {
        Err(err) if err.code == 0 => return Ok(parts.iter().map(|it| it.iov_len).sum()),
        done => done?,
    }
    // SAFETY: the pointer and length are those of `parts`; the caller owns the ranges,
    // whose pages read as their file or as zero from now on.
    let n = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            pidfd.as_raw_fd(),
            parts.as_ptr(),
            parts.len(),
            libc::MADV_DONTNEED,
            0,
        )
    };
    usize::try_from(n).map_err(|_| OsError {
        call: Call::ProcessMadvise,
        code: std::io::Error::last_os_error().raw_os_error().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const PAGE: usize = 4096;

    /// Addresses and lengths of ranges of up to 3 GiB; they are never accessed.
    fn parts() -> impl Strategy<Value = Vec<(*mut c_void, usize)>> {
        let pages = prop_oneof![0_usize..4, 0_usize..(3 << 30) / PAGE];
        vec(pages, 0..3000).prop_map(|lens| {
            let at = |nth: usize| core::ptr::without_provenance_mut(nth << 40);
            let lens = lens.into_iter().enumerate();
            lens.map(|(nth, n)| (at(nth), n * PAGE)).collect()
        })
    }

    proptest! {
        /// Simulates a kernel that sometimes does less than it was asked to.
        #[test]
        fn every_byte_is_advised_once_and_in_order(
            parts in parts(),
            cuts in vec(0_usize..MAX_BYTES / PAGE, 1..20),
        ) {
            let mut progress = Progress::default();
            let mut advised: Vec<(*mut c_void, usize)> = Vec::new();
            for nth in 0.. {
                let mut buffer = EMPTY;
                let chunk = progress.chunk(&parts, &mut buffer);
                if chunk.is_empty() {
                    break;
                }
                prop_assert!(chunk.len() <= MAX_RANGES);
                let asked: usize = chunk.iter().map(|it| it.iov_len).sum();
                prop_assert!(asked <= MAX_BYTES);
                let done = match cuts[nth % cuts.len()] * PAGE {
                    0 => asked,
                    cut => asked.min(cut),
                };
                let mut rest = done;
                for part in chunk {
                    let n = part.iov_len.min(rest);
                    rest -= n;
                    match advised.last_mut() {
                        Some((at, len)) if at.wrapping_byte_add(*len) == part.iov_base => *len += n,
                        _ if n == 0 => {}
                        _ => advised.push((part.iov_base, n)),
                    }
                }
                prop_assert!(progress.add(&parts, done), "stuck at {progress:?}");
            }
            prop_assert_eq!(progress.n_done, parts.len());
            let filled: Vec<_> = parts.into_iter().filter(|(_, len)| *len != 0).collect();
            prop_assert_eq!(advised, filled);
        }
    }

    #[test]
    fn a_call_without_progress_ends_the_loop() {
        let parts = vec![(core::ptr::null_mut(), PAGE)];
        let mut progress = Progress::default();
        assert!(!progress.add(&parts, 0));
        assert!(progress.add(&parts, PAGE));
        assert_eq!(progress.n_done, 1);
    }
}
