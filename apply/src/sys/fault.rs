//! Makes a system call of this thread fail, for tests.

use core::cell::Cell;

use crate::error::{Call, OsError};

std::thread_local! {
    /// How many calls still succeed, the error number afterwards, and for how many.
    static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
    static N_CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Which calls of this thread fail, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many calls succeed first.
    pub skip: u64,
    /// How many fail then; after them, calls succeed again.
    pub fail: u64,
    /// Only calls of this kind count; all, if `None`.
    pub only: Option<Call>,
    /// The error number that they fail with.
    pub code: i32,
}

/// Sets the plan of this thread, and the count of its calls back to 0.
pub fn set(plan: Option<Plan>) {
    PLAN.set(plan);
    N_CALLS.set(0);
}

/// How many calls this thread has made since [`set`], failed ones included; with a
/// plan for one kind of call, only those.
pub fn n_calls() -> u64 {
    N_CALLS.get()
}

/// Passed before every system call.
pub(crate) fn point(call: Call) -> Result<(), OsError> {
    let plan = PLAN.get();
    if plan.is_some_and(|plan| plan.only.is_some_and(|only| only != call)) {
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
