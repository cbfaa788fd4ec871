//! A reset as direct system calls, written by hand: a lower bound for any reset.
//!
//! It supports one image and one size, checks nothing, has no budget, does not age pages, and
//! is set up once. What a slot costs in addition is the price of generality.

use alloc::vec::Vec;
use core::ptr;

/// `PAGE_IS_…` of linux/fs.h, and the pages that the scan requests: written and private.
const PRESENT: u64 = 1 << 3;
const SWAPPED: u64 = 1 << 4;
const NEITHER_ZERO_NOR_FILE: u64 = 1 << 5 | 1 << 2;

/// `_IOWR('f', 16, struct pm_scan_arg)`
const PAGEMAP_SCAN: u32 = 0xc060_6610;

/// The most regions that a call returns. With more, the kernel takes longer to allocate its own
/// copy of them.
const N_REGIONS: usize = 256;

/// The most bytes that one process_madvise(2) accepts, in whole pages.
const BATCH: usize = (1 << 31) - 4096;

/// A memory that starts from one image.
#[derive(Debug)]
pub struct Floor {
    // Invariants:
    // 1. `base..base + total` is mapped, and owned by this. Its first `len` bytes are readable
    //    and writable: `image_len` bytes of a private mapping of a file with the image, and
    //    fresh memory.
    // 2. `view..view + image_len` is a readable mapping of the same file, which is never
    //    written.
    base: *mut u8,
    total: usize,
    len: usize,
    view: *const u8,
    image_len: usize,
    pagemap: libc::c_int,
    regions: Vec<[u64; 3]>,
}

impl Floor {
    /// Maps `image`, which must be whole pages, and zeros after it. Returns `None` if the system
    /// refuses.
    pub fn new(image: &[u8], len: usize) -> Option<Self> {
        // SAFETY: a name that ends with a zero byte.
        let file = unsafe { libc::memfd_create(c"floor".as_ptr(), libc::MFD_CLOEXEC) };
        // SAFETY: the buffer has that many bytes.
        let n = unsafe { libc::write(file, image.as_ptr().cast(), image.len()) };
        // SAFETY: a path that ends with a zero byte.
        let pagemap = unsafe { libc::open(c"/proc/self/pagemap".as_ptr(), libc::O_CLOEXEC) };
        if usize::try_from(n) != Ok(image.len()) || pagemap < 0 || len < image.len() {
            return None;
        }
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let base = map(ptr::null_mut(), len, prot, -1)?;
        map(base, image.len(), prot, file)?;
        let view = map(ptr::null_mut(), image.len(), libc::PROT_READ, file)?;
        // SAFETY: ours; the mappings stay.
        unsafe { libc::close(file) };
        Some(Self {
            base,
            total: len,
            len,
            view,
            image_len: image.len(),
            pagemap,
            regions: Vec::with_capacity(N_REGIONS),
        })
    }

    /// The memory.
    pub const fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: readable and writable (invariant 1); `&mut self` is the only way to it.
        unsafe { core::slice::from_raw_parts_mut(self.base, self.len) }
    }

    /// Removes access from `end` on, a multiple of the page size after the image.
    pub fn close_from(&mut self, end: usize) {
        assert!(self.image_len <= end && end <= self.total);
        if end < self.len {
            self.protect(end..self.len, libc::PROT_NONE);
            self.len = end;
        }
    }

    /// Makes the first `end` bytes accessible, a multiple of the page size.
    pub fn open_to(&mut self, end: usize) {
        assert!(end <= self.total);
        if self.len < end {
            self.protect(self.len..end, libc::PROT_READ | libc::PROT_WRITE);
            self.len = end;
        }
    }

    /// `range.end <= self.total`.
    fn protect(&mut self, range: core::ops::Range<usize>, prot: libc::c_int) {
        // SAFETY: within what is ours, or one past it (invariant 1).
        let at = unsafe { self.base.add(range.start) };
        // SAFETY: ours (invariant 1), and no reference is live.
        let done = unsafe { libc::mprotect(at.cast(), range.len(), prot) };
        assert_eq!(done, 0, "mprotect(2) of our own memory");
    }

    /// Finds the pages that were written and copies the image over them.
    pub fn scan_and_copy(&mut self) {
        let start = self.base.addr();
        let end = (start + self.len) as u64;
        let mut at = start as u64;
        while at < end {
            self.regions.clear();
            // `struct pm_scan_arg` of linux/fs.h.
            let mut arg: [u64; 12] = [
                size_of::<[u64; 12]>() as u64,
                0,
                at,
                end,
                0,
                self.regions.as_mut_ptr().expose_provenance() as u64,
                self.regions.capacity() as u64,
                0,
                NEITHER_ZERO_NOR_FILE,
                NEITHER_ZERO_NOR_FILE,
                PRESENT | SWAPPED,
                PRESENT,
            ];
            // SAFETY: the call writes to `arg`, and as many regions as there is room for.
            let n = unsafe { libc::ioctl(self.pagemap, PAGEMAP_SCAN as _, arg.as_mut_ptr()) };
            let n = usize::try_from(n).expect("a kernel that scans");
            // SAFETY: the kernel has written the first `n`.
            unsafe { self.regions.set_len(n) };
            // `walk_end`
            at = arg[4];
            for &[from, to, _] in &self.regions {
                self.restore(from as usize - start, to as usize - start);
            }
        }
    }

    /// `from <= to <= self.len`.
    fn restore(&self, from: usize, to: usize) {
        let middle = self.image_len.clamp(from, to);
        // SAFETY: within the view, or one past it (invariant 2).
        let source = unsafe { self.view.add(from.min(self.image_len)) };
        // SAFETY: within the memory (invariant 1).
        let target = unsafe { self.base.add(from) };
        // SAFETY: `middle - from` bytes are within both, which are apart.
        unsafe { ptr::copy_nonoverlapping(source, target, middle - from) };
        // SAFETY: within the memory, or one past it (invariant 1).
        let target = unsafe { self.base.add(middle) };
        // SAFETY: `to` is within the memory.
        unsafe { ptr::write_bytes(target, 0, to - middle) };
    }

    /// Discards all pages.
    pub fn drop_all(&mut self) {
        // SAFETY: ours (invariant 1), and no reference is live.
        let done = unsafe { libc::madvise(self.base.cast(), self.len, libc::MADV_DONTNEED) };
        assert_eq!(done, 0, "madvise(2) of our own memory");
    }

    /// Discards all pages of all memories, as many per call as the kernel accepts. Returns false
    /// if the kernel does not support batches.
    pub fn drop_together(floors: &mut [Self]) -> bool {
        // SAFETY: the call reads and writes no memory.
        let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, std::process::id(), 0) };
        let n_each = floors.first().map_or(1, |first| BATCH / first.len);
        let is_done = floors.chunks(n_each.clamp(1, 1024)).all(|chunk| {
            let part = |floor: &Self| libc::iovec {
                iov_base: floor.base.cast(),
                iov_len: floor.len,
            };
            let parts: Vec<libc::iovec> = chunk.iter().map(part).collect();
            let n_bytes: usize = chunk.iter().map(|floor| floor.len).sum();
            let (at, n) = (parts.as_ptr(), parts.len());
            // SAFETY: `parts` is that long; what it names is ours (invariant 1), and no
            // reference is live.
            let n = unsafe {
                libc::syscall(
                    libc::SYS_process_madvise,
                    pidfd,
                    at,
                    n,
                    libc::MADV_DONTNEED,
                    0,
                )
            };
            usize::try_from(n) == Ok(n_bytes)
        });
        // SAFETY: ours: nothing else uses this descriptor.
        unsafe { libc::close(pidfd as libc::c_int) };
        is_done
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // SAFETY: ours (invariant 1), and no longer used.
        unsafe { libc::munmap(self.base.cast(), self.total) };
        // SAFETY: ours (invariant 2), and no longer used.
        unsafe { libc::munmap(self.view.cast_mut().cast(), self.image_len) };
        // SAFETY: ours: nothing else uses this descriptor.
        unsafe { libc::close(self.pagemap) };
    }
}

/// `at` is null, or the start of a mapping of ours that is at least as long.
fn map(at: *mut u8, len: usize, prot: libc::c_int, file: libc::c_int) -> Option<*mut u8> {
    let fixed = if at.is_null() { 0 } else { libc::MAP_FIXED };
    let anonymous = if file < 0 { libc::MAP_ANONYMOUS } else { 0 };
    let flags = libc::MAP_PRIVATE | libc::MAP_NORESERVE | fixed | anonymous;
    // SAFETY: with `MAP_FIXED`, what is replaced is ours: see above.
    let start = unsafe { libc::mmap(at.cast(), len, prot, flags, file, 0) };
    (start != libc::MAP_FAILED).then_some(start.cast())
}
