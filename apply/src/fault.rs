//! Makes system calls fail, for this project's own tests.

use crate::os::{Call, OsError};

#[cfg(feature = "fault-injection")]
pub use self::plan::{Plan, n_calls, set};

/// Called before every system call.
#[cfg(feature = "fault-injection")]
pub(crate) fn point(call: Call) -> Result<(), OsError> {
    plan::point(call)
}

/// Called before every system call: without the feature `fault-injection`, none is made to
/// fail.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
#[allow(
    clippy::unnecessary_wraps,
    reason = "the other version of this function can fail"
)]
pub(crate) const fn point(_call: Call) -> Result<(), OsError> {
    Ok(())
}

#[cfg(feature = "fault-injection")]
mod plan {
    use core::cell::Cell;

    use crate::os::{Call, OsError};

    std::thread_local! {
        /// How many calls still succeed, the error number afterwards, and for how many.
        static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
        static N_CALLS: Cell<u64> = const { Cell::new(0) };
    }

    /// Which system calls of this thread fail, and how.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Plan {
        /// The number of calls that succeed first.
        pub skip: u64,
        /// The number of calls that then fail; after them, calls succeed again.
        pub fail: u64,
        /// Counts only calls of this kind. If `None`, all but `munmap`: nobody looks at its
        /// result, and what it does not unmap is leaked.
        pub only: Option<Call>,
        /// The error number of the failures. With 0, a batch of advice or a scan does nothing
        /// and reports that it is complete.
        pub code: i32,
    }

    /// Sets the plan of this thread, and resets its call counter to 0.
    pub fn set(plan: Option<Plan>) {
        PLAN.set(plan);
        N_CALLS.set(0);
    }

    /// Returns how many calls this thread has made since [`set`], including failed ones;
    /// with a plan for one kind of call, only calls of that kind.
    pub fn n_calls() -> u64 {
        N_CALLS.get()
    }

    pub(super) fn point(call: Call) -> Result<(), OsError> {
        let plan = PLAN.get();
        let counts = |plan: Plan| match plan.only {
            Some(only) => only == call,
            None => call != Call::Munmap,
        };
        if !plan.is_none_or(counts) {
            return Ok(());
        }
        let nth = N_CALLS.get();
        N_CALLS.set(nth + 1);
        match plan {
            Some(plan) if plan.skip <= nth && nth - plan.skip < plan.fail => Err(OsError {
                call,
                code: plan.code,
            }),
            _ => Ok(()),
        }
    }
}
