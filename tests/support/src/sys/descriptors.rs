//! What a program does to descriptors that it does not know of.

/// Closes every descriptor from a number on, whoever owns it: close_range(2), as daemons
/// and sandboxes do. Returns whether the system did.
///
/// Call it from [`in_process`](crate::process::in_process). Whoever owned one of them must
/// not drop it later: the number may be somebody else's by then.
pub fn close_from(first: u32) -> bool {
    // SAFETY: no memory changes. That descriptors are closed which others own is what the
    // caller tests.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    done == 0
}
