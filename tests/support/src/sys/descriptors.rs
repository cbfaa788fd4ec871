//! System calls on descriptors that the caller does not own.

/// Closes every descriptor from `first` on, even if it has an owner, with close_range(2), as
/// daemons and sandboxes do. Returns whether the system did.
///
/// Call it from [`in_process`](crate::process::in_process). The owner of such a descriptor
/// must not drop it later: by then the number may belong to another file.
pub fn close_from(first: u32) -> bool {
    // SAFETY: no memory changes. Closing descriptors that others own is what the caller tests.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    done == 0
}
