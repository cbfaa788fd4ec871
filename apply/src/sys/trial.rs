//! What the secrecy of memories rests on, tried out before it is used.
//!
//! Some systems answer 0 to a call and do nothing: emulators of another machine's
//! kernel, sandboxes that pretend. So each call is made once per process on a page of
//! each kind that it will be used on, and its effect is looked at. A call without the
//! effect is not used; where mappings themselves do not work, no slot is made. A system
//! that begins to lie after the trials is noticed only where an answer shows it: the
//! address that `mmap` returns, how many bytes a batch has done, how far a scan came.
//!
//! | call | kinds of page | otherwise |
//! |---|---|---|
//! | `mmap(MAP_FIXED)`, `mprotect` | anonymous | no slots |
//! | `madvise(MADV_DONTNEED)` | anonymous, private page of each kind of file | fresh mappings |
//! | `process_madvise` | the same | one `madvise` each |
//! | `ioctl(PAGEMAP_SCAN)` | the same | pages are discarded |

use core::sync::atomic::{AtomicI32, Ordering};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::mm::Advice;

use super::super::page_bytes;
use super::mmap::call;
use super::per_process::is_passing;
use super::scratch::ScratchPage;
use super::{Access, advice, failed, pagemap};
use crate::capabilities::Support;
use crate::error::{Call, OsError};

/// What a trial found: 0 before it, 1 where the call works, otherwise the error number,
/// negative. A child process inherits it, with the system that it is true of.
#[derive(Debug)]
pub(super) struct Verdict(AtomicI32);

impl Verdict {
    pub(super) const fn unknown() -> Self {
        Self(AtomicI32::new(0))
    }

    /// The verdict; by `trial` where there is none yet. What a lack of memory or
    /// descriptors prevents is tried again.
    #[inline]
    pub(super) fn get(
        &self,
        call: Call,
        trial: impl FnOnce() -> Result<(), OsError>,
    ) -> Result<(), OsError> {
        if self.0.load(Ordering::Relaxed) == 1 {
            return Ok(());
        }
        self.find(call, trial)
    }

    #[cold]
    fn find(&self, call: Call, trial: impl FnOnce() -> Result<(), OsError>) -> Result<(), OsError> {
        match self.0.load(Ordering::Relaxed) {
            0 => {}
            1 => return Ok(()),
            code => return Err(OsError { call, code: -code }),
        }
        let done = trial();
        match &done {
            Ok(()) => self.0.store(1, Ordering::Relaxed),
            Err(err) if is_passing(err) => {}
            Err(err) => self.0.store(-err.code.max(1), Ordering::Relaxed),
        }
        done
    }
}

/// The call says that it is done, and it is not.
const fn lied(call: Call) -> OsError {
    failed(call, Errno::NOTSUP)
}

/// Whether mappings are replaced, and access is taken away.
pub(super) fn try_out() -> Result<(), OsError> {
    static MAPPINGS: Verdict = Verdict::unknown();
    MAPPINGS.get(Call::Mmap, || {
        let page = ScratchPage::new()?;
        let at = page.as_ptr().as_ptr().cast();
        page.write();
        // SAFETY: the page is ours, and has no references.
        let mapped = unsafe { call::map_zero(at, page_bytes(), Access::ReadWrite) };
        let page = page.unless_lost(mapped)?;
        if page.read() != 0 {
            return Err(lied(Call::Mmap));
        }
        // SAFETY: as above.
        unsafe { call::protect(at, page_bytes(), Access::None) }?;
        if page.is_readable() {
            return Err(lied(Call::Mprotect));
        }
        Ok(())
    })
}

/// Whether discarded anonymous pages are zero.
pub(crate) fn discard_support() -> Support {
    static ANONYMOUS: Verdict = Verdict::unknown();
    let verdict = ANONYMOUS.get(Call::Madvise, || {
        let page = ScratchPage::new()?;
        page.write();
        discard(&page)?;
        match page.read() {
            0 => Ok(()),
            _ => Err(lied(Call::Madvise)),
        }
    });
    verdict.map_or_else(Support::Refused, |()| Support::Yes)
}

/// Whether written pages of private mappings of this file are found, and show the file
/// again once they are discarded, by each call that this process uses.
pub(super) fn try_file(file: &OwnedFd, offset: u64) -> Result<(), OsError> {
    let page = ScratchPage::of_file(file, offset)?;
    let first = page.read();
    let write = || page.write_byte(!first);
    let shows_file = |call| match page.read() == first {
        true => Ok(()),
        false => Err(lied(call)),
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
    if pagemap::scan_support().is_yes() && !pagemap::sees(&page)? {
        return Err(lied(Call::PagemapScan));
    }
    Ok(())
}

fn discard(page: &ScratchPage) -> Result<(), OsError> {
    let at = page.as_ptr().as_ptr().cast();
    // SAFETY: the page is ours, and has no references.
    unsafe { advice::advise(at, page_bytes(), Advice::LinuxDontNeed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_remembered_unless_it_may_pass() {
        let verdict = Verdict::unknown();
        let err = |errno: Errno| Err(failed(Call::Mmap, errno));
        assert_eq!(
            verdict.get(Call::Mmap, || err(Errno::NOMEM)),
            err(Errno::NOMEM)
        );
        assert_eq!(
            verdict.get(Call::Mmap, || err(Errno::PERM)),
            err(Errno::PERM)
        );
        assert_eq!(
            verdict.get(Call::Mmap, || panic!("known")),
            err(Errno::PERM)
        );
        let verdict = Verdict::unknown();
        assert_eq!(verdict.get(Call::Mmap, || Ok(())), Ok(()));
        assert_eq!(verdict.get(Call::Mmap, || panic!("known")), Ok(()));
    }
}
