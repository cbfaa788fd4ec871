//! System calls with which tests examine and influence their own memory.

use core::cell::OnceCell;
use std::io::{PipeReader, PipeWriter, Read, pipe};
use std::os::fd::AsRawFd;

std::thread_local! {
    static PIPE: OnceCell<(PipeReader, PipeWriter)> = const { OnceCell::new() };
}

/// Whether the byte at an address can be read: otherwise, write(2) of it to a pipe fails with
/// `EFAULT`.
///
/// # Panics
///
/// If no pipe can be created.
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

/// Asks the kernel to swap out the pages of a slice: madvise(2), `MADV_PAGEOUT`. Their bytes do
/// not change.
pub fn page_out(bytes: &mut [u8]) {
    let (at, len) = (bytes.as_mut_ptr(), bytes.len());
    // SAFETY: no byte changes: a swapped-out page comes back with the next access.
    let _ = unsafe { libc::madvise(at.cast(), len, libc::MADV_PAGEOUT) };
}

/// Lets the kernel back a slice with huge pages: madvise(2), `MADV_HUGEPAGE`. The bytes do not
/// change.
pub fn prefer_huge(bytes: &mut [u8]) {
    let (at, len) = (bytes.as_mut_ptr(), bytes.len());
    // SAFETY: no byte changes.
    let _ = unsafe { libc::madvise(at.cast(), len, libc::MADV_HUGEPAGE) };
}

/// Lets the kernel merge pages with equal contents: madvise(2), `MADV_MERGEABLE`. The bytes do
/// not change.
pub fn merge_same(bytes: &mut [u8]) {
    let (at, len) = (bytes.as_mut_ptr(), bytes.len());
    // SAFETY: no byte changes: a merged page is copied before it is written.
    let _ = unsafe { libc::madvise(at.cast(), len, libc::MADV_MERGEABLE) };
}

/// Makes a descriptor that something else owns refer to another file: dup2(2). A program that
/// closes all descriptors and opens its own files has the same effect.
pub fn take_descriptor(number: i32, by: &std::fs::File) -> bool {
    // SAFETY: only tests of how descriptors are used call it, in a process of their own.
    unsafe { libc::dup2(by.as_raw_fd(), number) == number }
}

/// Locks the pages of a slice in memory: mlock(2). Returns whether the system did.
pub fn lock(bytes: &mut [u8]) -> bool {
    // SAFETY: no byte changes.
    unsafe { libc::mlock(bytes.as_ptr().cast(), bytes.len()) == 0 }
}

/// Locks all memory of this process, including later mappings: mlockall(2). Returns whether
/// the system did.
pub fn lock_all() -> bool {
    // SAFETY: no byte changes.
    unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) == 0 }
}

/// Locks all later mappings of this process. Returns whether the system does.
pub fn lock_future() -> bool {
    // SAFETY: no byte changes.
    unsafe { libc::mlockall(libc::MCL_FUTURE) == 0 }
}

/// Mappings without access that nobody uses: with [`lock_future`] they count as locked.
#[derive(Debug)]
pub struct Filler(Vec<(*mut libc::c_void, usize)>);

impl Filler {
    /// Maps so much that at most `left` more bytes can be mapped, and less than a page less. To
    /// be called only where that is limited.
    pub fn all_but(left: usize) -> Self {
        let kept = Self::of([left], 1);
        let filler = Self::of([1 << 18, 1], usize::MAX);
        drop(kept);
        filler
    }

    /// Maps up to `n` times as many bytes as each of these sizes says.
    fn of(sizes: impl IntoIterator<Item = usize>, n: usize) -> Self {
        let map = |len| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            // SAFETY: without `MAP_FIXED` no existing mapping changes.
            let at =
                unsafe { libc::mmap(core::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
            (at != libc::MAP_FAILED).then_some((at, len))
        };
        let of_size = |len| core::iter::from_fn(move || map(len)).take(n);
        Self(sizes.into_iter().flat_map(of_size).collect())
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        for (at, len) in self.0.drain(..) {
            // SAFETY: ours, and nobody has the address.
            unsafe { libc::munmap(at, len) };
        }
    }
}
