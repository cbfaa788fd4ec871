//! Finds the pages of a range that the program has written: `ioctl(PAGEMAP_SCAN)`, Linux
//! 6.7.
//!
//! See Documentation/admin-guide/mm/pagemap.rst in the Linux sources.

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ops::Range;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};

use super::super::scan::{PageKind, Pages, ScanFor};
use super::errno::failed;
use super::mmap::Reservation;
use super::per_process::{Which, descriptor, forget_if_closed};
use super::scratch::ScratchPage;
use crate::fault;
use crate::os::{Call, OsError, Support};

/// The maximum number of ranges that one call returns: a buffer of 6 KiB on the stack. A
/// scan continues where the last one ended, so this is no limit.
const MAX_REGIONS: usize = 256;

/// `PAGE_IS_…` of linux/fs.h.
pub(super) mod category {
    pub(in super::super) const FILE: u64 = 1 << 2;
    pub(in super::super) const PRESENT: u64 = 1 << 3;
    pub(in super::super) const SWAPPED: u64 = 1 << 4;
    pub(in super::super) const PFNZERO: u64 = 1 << 5;
}

/// In a private mapping, a page was written if it is the process's own: present or
/// swapped out, and not a page of the file.
///
/// The shared zero page is reported separately. Almost always it was only read. But after
/// zeros were written, the kernel may put it there too: when it splits a huge page, and
/// when it merges pages. Only the caller knows the initial contents.
///
/// Never `PAGE_IS_WRITTEN`: outside userfaultfd mappings it is meaningless.
const NO_FILE: u64 = category::FILE;
const ANY_OF: u64 = category::PRESENT | category::SWAPPED;

/// Returns the categories that a page must not have.
const fn excluded(scan_for: ScanFor) -> u64 {
    match scan_for {
        ScanFor::Written => NO_FILE,
        ScanFor::WrittenAnonymous | ScanFor::Present => 0,
    }
}

/// Returns the categories that separate neighbouring pages in the result.
const fn returned(scan_for: ScanFor) -> u64 {
    match scan_for {
        ScanFor::WrittenAnonymous => category::PFNZERO,
        ScanFor::Written | ScanFor::Present => category::PFNZERO | category::FILE,
    }
}

/// `struct pm_scan_arg` of linux/fs.h.
#[derive(Debug)]
#[repr(C)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region` of linux/fs.h.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// Ranges of pages that may have been written, as returned by one call.
#[derive(Debug)]
pub(crate) struct Written {
    // Invariant: the first `n` are initialised.
    regions: [MaybeUninit<Region>; MAX_REGIONS],
    n: usize,
    base: u64,
    /// The requested range; nothing outside it is ever returned.
    asked: Range<usize>,
}

impl Written {
    pub(crate) const fn new() -> Self {
        Self {
            regions: [const { MaybeUninit::uninit() }; MAX_REGIONS],
            n: 0,
            base: 0,
            asked: 0..0,
        }
    }

    /// Returns what was found, in address order.
    pub(crate) fn pages(&self) -> impl Iterator<Item = Pages> {
        self.regions[..self.n].iter().map(|region| {
            // SAFETY: one of the first `n`.
            let region = unsafe { region.assume_init_ref() };
            let position = |at: u64| {
                let at = usize::try_from(at.saturating_sub(self.base)).unwrap_or(usize::MAX);
                at.clamp(self.asked.start, self.asked.end)
            };
            Pages {
                range: position(region.start)..position(region.end),
                kind: if region.categories & category::PFNZERO != 0 {
                    PageKind::Zero
                } else if region.categories & category::FILE != 0 {
                    PageKind::File
                } else {
                    PageKind::Own
                },
            }
        })
    }
}

impl Reservation {
    /// Finds at most `max_pages` pages of a range. Returns the position up to which it
    /// has searched: the end of the range, unless `written` is full or has that many.
    pub(crate) fn scan(
        &self,
        scan_for: ScanFor,
        range: Range<usize>,
        max_pages: usize,
        written: &mut Written,
    ) -> Result<usize, OsError> {
        written.n = 0;
        // What was lost may belong to someone else now.
        if self.is_lost() {
            return Err(failed(Call::Mmap, Errno::NOMEM));
        }
        let base = u64::try_from(self.at(0).addr()).unwrap_or(u64::MAX);
        let address = |at: usize| base.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
        let addresses = address(range.start)..address(range.end);
        let max_pages = u64::try_from(max_pages).unwrap_or(u64::MAX);
        let mut pagemap = descriptor(Which::Pagemap, open)?;
        let mut done = scan(pagemap, scan_for, addresses.clone(), max_pages, written);
        if let Err(err) = &done
            && forget_if_closed(Which::Pagemap, pagemap, err)
        {
            pagemap = descriptor(Which::Pagemap, open)?;
            done = scan(pagemap, scan_for, addresses, max_pages, written);
        }
        let end = done?;
        written.base = base;
        written.asked = range.clone();
        let end = usize::try_from(end.saturating_sub(base)).unwrap_or(usize::MAX);
        if range.start < end && end <= range.end {
            Ok(end)
        } else {
            // A kernel that makes no progress would keep us here forever.
            Err(failed(Call::PagemapScan, Errno::IO))
        }
    }
}

/// Returns whether scans work on this system.
pub(crate) fn scan_support() -> Support {
    descriptor(Which::Pagemap, open).map_or_else(Support::Refused, |_| Support::Yes)
}

/// Opens this process's page map, and tries it out.
fn open() -> Result<OwnedFd, OsError> {
    fault::point(Call::Open)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(c"/proc/self/pagemap", flags, Mode::empty())
        .map_err(|err| failed(Call::Open, err))?;

    let page = ScratchPage::new()?;
    page.write();
    if reports_page_by(std::os::fd::AsFd::as_fd(&file), &page)? {
        Ok(file)
    } else {
        // It did not report the page that we wrote, contrary to the manual.
        Err(failed(Call::PagemapScan, Errno::NOTSUP))
    }
}

/// Returns whether a scan reports this page, which was written.
pub(super) fn reports_page(page: &ScratchPage) -> Result<bool, OsError> {
    reports_page_by(descriptor(Which::Pagemap, open)?, page)
}

fn reports_page_by(pagemap: BorrowedFd<'_>, page: &ScratchPage) -> Result<bool, OsError> {
    let start = u64::try_from(page.as_ptr().addr().get()).unwrap_or(u64::MAX);
    let end = start + u64::try_from(page.len()).unwrap_or(u64::MAX);
    let mut written = Written::new();
    for scan_for in [ScanFor::Written, ScanFor::WrittenAnonymous] {
        scan(pagemap, scan_for, start..end, 1, &mut written)?;
        if written.n != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn scan(
    pagemap: BorrowedFd<'_>,
    scan_for: ScanFor,
    addresses: Range<u64>,
    max_pages: u64,
    written: &mut Written,
) -> Result<u64, OsError> {
    match fault::point(Call::PagemapScan) {
        Err(err) if err.code == 0 => return Ok(addresses.end),
        done => done?,
    }
    let arg = ScanArg {
        size: size_of::<ScanArg>() as u64,
        flags: 0,
        start: addresses.start,
        end: addresses.end,
        walk_end: 0,
        vec: u64::try_from(written.regions.as_mut_ptr().expose_provenance()).unwrap_or(0),
        vec_len: MAX_REGIONS as u64,
        max_pages,
        category_inverted: excluded(scan_for),
        category_mask: excluded(scan_for),
        category_anyof_mask: ANY_OF,
        return_mask: returned(scan_for),
    };
    // SAFETY: without flags the call changes only the argument and the first `vec_len`
    // entries of `vec`, to which we have exclusive access.
    let done = unsafe { rustix::ioctl::ioctl(pagemap, arg) };
    let (n, walk_end) = done.map_err(|err| failed(Call::PagemapScan, err))?;
    // The kernel returns how many it has written.
    written.n = n.min(MAX_REGIONS);
    Ok(walk_end)
}

// SAFETY: the opcode is `_IOWR('f', 16, struct pm_scan_arg)`, `as_ptr` returns such a
// struct, and the kernel writes only what `scan` describes.
unsafe impl Ioctl for ScanArg {
    /// The number of regions written, and where the walk ended.
    type Output = (usize, u64);

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        rustix::ioctl::opcode::read_write::<Self>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        core::ptr::from_mut(self).cast()
    }

    unsafe fn output_from_ptr(
        output: IoctlOutput,
        arg: *mut c_void,
    ) -> rustix::io::Result<Self::Output> {
        // SAFETY: rustix passes the pointer that `as_ptr` returned.
        let arg = unsafe { &*arg.cast::<Self>() };
        let n: c_int = output;
        Ok((usize::try_from(n).unwrap_or(0), arg.walk_end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies the masks as the kernel does: `pagemap_scan_is_interesting_page` in
    /// fs/proc/task_mmu.c.
    fn is_reported(scan_for: ScanFor, categories: u64) -> bool {
        let categories = categories ^ excluded(scan_for);
        categories & excluded(scan_for) == excluded(scan_for) && categories & ANY_OF != 0
    }

    #[test]
    fn pages_that_were_written_are_reported_swapped_or_not() {
        use category::*;

        const WRITTEN: u64 = 1 << 1;
        const HUGE: u64 = 1 << 6;
        // Page maps recorded on Linux 6.18: name, categories, whether it may have been
        // written.
        for (what, categories, expected) in [
            ("hole", WRITTEN, false),
            ("page of zeros", WRITTEN | PRESENT | PFNZERO, true),
            ("read: page of the file", WRITTEN | PRESENT | FILE, false),
            ("written", WRITTEN | PRESENT, true),
            ("written and swapped out", WRITTEN | SWAPPED, true),
            ("written, huge", WRITTEN | PRESENT | HUGE, true),
            ("written, not tracked", PRESENT, true),
            ("swapped out, not tracked", SWAPPED, true),
            ("page of the file, swapped out", SWAPPED | FILE, false),
        ] {
            assert_eq!(
                is_reported(ScanFor::Written, categories),
                expected,
                "{what}"
            );
            let is_anonymous = categories & FILE == 0;
            if is_anonymous {
                let scan_for = ScanFor::WrittenAnonymous;
                assert_eq!(is_reported(scan_for, categories), expected, "{what}");
            }
            let present = categories & ANY_OF != 0;
            assert_eq!(is_reported(ScanFor::Present, categories), present, "{what}");
        }
    }
}
