//! Remembers whether a system call works.

use core::sync::atomic::{AtomicI32, Ordering};

use rustix::io::Errno;

use crate::os::{Call, OsError};

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

/// Returns whether the same call may succeed later: the system is out of descriptors or
/// memory. Tests inject these errors too, so that a failure is not remembered.
pub(super) fn is_temporary(err: &OsError) -> bool {
    let temporary = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::AGAIN,
        Errno::INTR,
    ];
    temporary.map(Errno::raw_os_error).contains(&err.code)
}

#[cfg(test)]
mod tests {
    use super::super::errno::failed;
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
