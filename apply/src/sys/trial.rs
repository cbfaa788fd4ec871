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

use core::sync::atomic::{AtomicI32, Ordering};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::mm::Advice;

use super::mmap::{call, page_bytes};
use super::per_process::is_temporary;
use super::scratch::ScratchPage;
use super::{Access, advice, failed, pagemap};
use crate::os::{Call, OsError, Support};

/// The result of a trial: 0 before it, 1 if the call works, otherwise the negative error
/// number. A child process inherits it, since it runs on the same system.
#[derive(Debug)]
pub(super) struct Verdict(AtomicI32);

impl Verdict {
    pub(super) const fn unknown() -> Self {
        Self(AtomicI32::new(0))
    }

    /// Returns the verdict; runs `trial` if there is none yet. Failures for lack of
    /// memory or descriptors are not remembered.
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
            Err(err) if is_temporary(err) => {}
            Err(err) => self.0.store(-err.code.max(1), Ordering::Relaxed),
        }
        done
    }
}

/// The call reported success, but had no effect.
const fn had_no_effect(call: Call) -> OsError {
    failed(call, Errno::NOTSUP)
}

/// Checks that mappings are replaced, and that access is removed.
pub(super) fn try_out() -> Result<(), OsError> {
    static MAPPINGS: Verdict = Verdict::unknown();
    MAPPINGS.get(Call::Mmap, || {
        let page = ScratchPage::new()?;
        let at = page.as_ptr().as_ptr().cast();
        page.write();
        // SAFETY: we own the page, and no references to it exist.
        let mapped = unsafe { call::map_zero(at, page_bytes(), Access::ReadWrite) };
        let page = page.unless_lost(mapped)?;
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

/// Checks that written pages of private mappings of this file are found, and show the
/// file again once they are discarded, by each call that this process uses.
pub(super) fn try_file(file: &OwnedFd, offset: u64) -> Result<(), OsError> {
    let page = ScratchPage::of_file(file, offset)?;
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
    unsafe { advice::advise(at, page_bytes(), Advice::LinuxDontNeed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_remembered_unless_it_is_temporary() {
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
