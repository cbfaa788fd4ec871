//! What tests ask of the system about their own memory.

use core::cell::OnceCell;
use std::io::{PipeReader, PipeWriter, Read, pipe};
use std::os::fd::AsRawFd;

std::thread_local! {
    static PIPE: OnceCell<(PipeReader, PipeWriter)> = const { OnceCell::new() };
}

/// Whether the byte at an address can be read: write(2) of it to a pipe gives `EFAULT`
/// where it cannot.
///
/// # Panics
///
/// Where there are no pipes.
pub fn is_readable(at: *const u8) -> bool {
    PIPE.with(|cell| {
        let (reader, writer) = cell.get_or_init(|| pipe().expect("a pipe"));
        // SAFETY: the kernel checks the address itself, and only reads.
        let n = unsafe { libc::write(writer.as_raw_fd(), at.cast(), 1) };
        if n == 1 {
            let mut byte = [0];
            let mut reader = reader;
            reader.read_exact(&mut byte).expect("just written");
        }
        n == 1
    })
}

/// Asks the kernel to swap the pages of a slice out: madvise(2), `MADV_PAGEOUT`. Their
/// bytes stay what they are.
pub fn page_out(bytes: &mut [u8]) {
    let (at, len) = (bytes.as_mut_ptr(), bytes.len());
    // SAFETY: no byte changes: a page that was swapped out comes back with the next access.
    let _ = unsafe { libc::madvise(at.cast(), len, libc::MADV_PAGEOUT) };
}

/// Lets the kernel back a slice by huge pages: madvise(2), `MADV_HUGEPAGE`. Their bytes
/// stay what they are.
pub fn prefer_huge(bytes: &mut [u8]) {
    let (at, len) = (bytes.as_mut_ptr(), bytes.len());
    // SAFETY: no byte changes.
    let _ = unsafe { libc::madvise(at.cast(), len, libc::MADV_HUGEPAGE) };
}

/// Lets the kernel share pages with the same bytes: madvise(2), `MADV_MERGEABLE`. Their
/// bytes stay what they are.
pub fn merge_same(bytes: &mut [u8]) {
    let (at, len) = (bytes.as_mut_ptr(), bytes.len());
    // SAFETY: no byte changes: a page that is shared is copied before it is written.
    let _ = unsafe { libc::madvise(at.cast(), len, libc::MADV_MERGEABLE) };
}

/// Makes a descriptor of somebody else's name another file: dup2(2). What a program does
/// that closes all descriptors and opens files of its own.
pub fn take_descriptor(number: i32, by: &std::fs::File) -> bool {
    // SAFETY: only tests of how descriptors are used call it, in a process of their own.
    unsafe { libc::dup2(by.as_raw_fd(), number) == number }
}

/// Keeps the pages of a slice in memory: mlock(2). Says whether the system did.
pub fn lock(bytes: &mut [u8]) -> bool {
    // SAFETY: no byte changes.
    unsafe { libc::mlock(bytes.as_ptr().cast(), bytes.len()) == 0 }
}

/// Keeps all memory of this process resident, also what is mapped later: mlockall(2).
/// Says whether the system did.
pub fn lock_all() -> bool {
    // SAFETY: no byte changes.
    unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) == 0 }
}
