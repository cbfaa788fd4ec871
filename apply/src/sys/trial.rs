//! Tries out the system calls on which the isolation of memories depends, before they are
//! used.
//!
//! Some systems return 0 from a call and do nothing: emulators of another machine's
//! kernel, sandboxes that only pretend. So each call is tried once per process on every
//! kind of page that it will be used on, and its effect is checked. A call without the
//! effect is not used; if mappings themselves do not work, no reservation can be made. A
//! system that starts to misbehave after the trials is noticed only if a result shows it:
//! the address that `mmap` returns, how many bytes a batch has done, how far a scan came.
//!
//! | call | kinds of page | fallback |
//! |---|---|---|
//! | `mmap(MAP_FIXED)`, `mprotect` | anonymous | no reservations |
//! | `madvise(MADV_DONTNEED)` | anonymous, private page of each kind of file | fresh mappings |
//! | `process_madvise` | the same | one `madvise` for each range |
//! | `ioctl(PAGEMAP_SCAN)` | the same | pages are discarded |

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::mm::Advice;

use super::super::access::Access;
use super::super::file::Storage;
use super::errno::failed;
use super::mmap::call::{self, page_bytes};
use super::mmap::{Reservation, Source};
use super::scratch::ScratchPage;
use super::verdict::Verdict;
use super::{advice, map_lock, own_file, pagemap, per_process};
use crate::os::{Call, OsError, Support};

/// The call reported success, but had no effect.
const fn had_no_effect(call: Call) -> OsError {
    failed(call, Errno::NOTSUP)
}

impl Reservation {
    /// Reserves `len` bytes with a guard on either side, all multiples of the host page,
    /// with no access. Costs only address space.
    ///
    /// Fails if mappings do not work on this system.
    pub(crate) fn new(before: usize, len: usize, after: usize) -> Result<Self, OsError> {
        try_mappings()?;
        per_process::prepare();
        // Now: a trial takes a mapping, and a process at its limit has none left when the first
        // memory is reset.
        let _ = (
            discard_support(),
            advice::batch_support(),
            pagemap::scan_support(),
        );
        Self::reserve(before, len, after)
    }
}

/// Checks that mappings are replaced, and that access is removed.
fn try_mappings() -> Result<(), OsError> {
    static MAPPINGS: Verdict = Verdict::unknown();
    MAPPINGS.get(Call::Mmap, || {
        let page = ScratchPage::new()?;
        let at = page.as_ptr().as_ptr().cast();
        page.write();
        // SAFETY: we own the page, and no references to it exist.
        let mapped = unsafe { call::map_zero(at, page_bytes(), Access::ReadWrite) };
        let page = page.unless_lost(mapped, true)?;
        if page.read() != 0 {
            return Err(had_no_effect(Call::Mmap));
        }
        // SAFETY: as above.
        unsafe { call::protect(at, page_bytes(), Access::None) }?;
        if page.is_readable() {
            return Err(had_no_effect(Call::Mprotect));
        }
        Ok(())
    })
}

/// Returns whether discarded anonymous pages are zero.
pub(crate) fn discard_support() -> Support {
    static ANONYMOUS: Verdict = Verdict::unknown();
    let verdict = ANONYMOUS.get(Call::Madvise, || {
        let page = ScratchPage::new()?;
        page.write();
        discard(&page)?;
        match page.read() {
            0 => Ok(()),
            _ => Err(had_no_effect(Call::Madvise)),
        }
    });
    verdict.map_or_else(Support::Refused, |()| Support::Yes)
}

impl Source {
    /// Returns whether the kernel's answers about its pages can be trusted, which is
    /// tried out once.
    pub(crate) fn is_trusted(&self) -> bool {
        // All files of our own are alike: one trial is enough.
        static OWN_FILES: Verdict = Verdict::unknown();
        let Some(file) = self.file_of() else {
            return true;
        };
        if self.storage() == Storage::Sparse {
            return OWN_FILES.get(Call::Madvise, try_own_file).is_ok();
        }
        let trial = || {
            // If the descriptor refers to another file by now, a trial would say nothing
            // about ours, and reading a page that it does not have raises SIGBUS.
            let is_there = self.check(0, page_bytes());
            is_there.map_err(|_| failed(Call::Fstat, Errno::AGAIN))?;
            try_file(&file.file, file.offset, false)
        };
        file.trial.get(Call::Madvise, trial).is_ok()
    }
}

/// Maps a private page of a file, which does not change.
fn page_of_file(file: &OwnedFd, offset: u64, is_ours: bool) -> Result<ScratchPage, OsError> {
    let page = ScratchPage::new()?;
    let _guard = map_lock::lock_shared();
    let at = page.as_ptr().as_ptr().cast();
    // SAFETY: we own the page, nobody else has its address, and no reference to it is
    // created.
    let mapped = unsafe { call::map_file(at, page_bytes(), file, offset) };
    page.unless_lost(mapped, is_ours)
}

/// Checks a file like those of images. Not one of them: a hole that is read becomes a page.
fn try_own_file() -> Result<(), OsError> {
    let file = own_file::anonymous_file(page_bytes())?;
    own_file::seal(&file)?;
    try_file(&file, 0, true)
}

/// Checks that written pages of private mappings of this file are found, and show the
/// file again once they are discarded, by each call that this process uses.
fn try_file(file: &OwnedFd, offset: u64, is_ours: bool) -> Result<(), OsError> {
    let page = page_of_file(file, offset, is_ours)?;
    let first = page.read();
    let write = || page.write_byte(!first);
    let shows_file = |call| match page.read() == first {
        true => Ok(()),
        false => Err(had_no_effect(call)),
    };
    write();
    if discard_support().is_yes() {
        discard(&page)?;
        shows_file(Call::Madvise)?;
    }
    write();
    if advice::batch_support().is_yes() {
        advice::discard_page(&page)?;
        shows_file(Call::ProcessMadvise)?;
    }
    write();
    if pagemap::scan_support().is_yes() && !pagemap::reports_page(&page)? {
        return Err(had_no_effect(Call::PagemapScan));
    }
    Ok(())
}

fn discard(page: &ScratchPage) -> Result<(), OsError> {
    let at = page.as_ptr().as_ptr().cast();
    // SAFETY: we own the page, and no references to it exist.
    unsafe { call::advise(at, page_bytes(), Advice::LinuxDontNeed) }
}
