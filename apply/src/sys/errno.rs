//! Errors of system calls.

use crate::os::{Call, OsError};

/// Converts an error of a rustix call.
pub(super) const fn failed(call: Call, err: rustix::io::Errno) -> OsError {
    OsError {
        call,
        code: err.raw_os_error(),
    }
}
