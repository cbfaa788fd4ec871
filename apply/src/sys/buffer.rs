//! A reservation without an operating system: a buffer.

use alloc::alloc::{alloc_zeroed, realloc};
use alloc::vec::Vec;
use core::alloc::Layout as Allocation;
use core::fmt;
use core::mem::{self, ManuallyDrop};
use core::ops::Range;

use super::super::access::Access;
use super::super::part::{Backing, Part};
use crate::bytes::is_zero;
use crate::fault;
use crate::os::{Call, OsError};

/// A discarded tail of at least this many bytes is reallocated, so that the allocator can
/// free its memory; a shorter one is zeroed in place. Allocators of hosts get larger
/// blocks directly from the system, zeroed, and return them when they are freed.
const LARGE: usize = 256 << 10;

/// A buffer whose first `open` bytes are accessible.
pub(crate) struct Reservation {
    // Invariants:
    // 1. `open <= used <= buffer.len() <= len`; bytes from `used` on are zero.
    // 2. Positions past the buffer are zero and use no memory. Those between `open` and
    //    its end keep their bytes until they are open again, as closed pages do.
    buffer: Vec<u8>,
    /// How far it was open since it was allocated.
    used: usize,
    open: usize,
    len: usize,
}

/// Prints sizes and addresses, never bytes.
impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("start", &self.buffer.as_ptr())
            .field("allocated", &self.buffer.len())
            .field("open", &self.open)
            .field("len", &self.len)
            .finish()
    }
}

impl Reservation {
    /// Creates a reservation of `len` bytes, none of them allocated yet. There are no
    /// guards.
    pub(crate) fn new(_before: usize, len: usize, _after: usize) -> Result<Self, OsError> {
        fault::point(Call::Allocate)?;
        Ok(Self {
            buffer: Vec::new(),
            used: 0,
            open: 0,
            len,
        })
    }

    pub(crate) const fn open(&self) -> usize {
        self.open
    }

    pub(crate) const fn as_ptr(&mut self) -> *mut u8 {
        self.buffer.as_mut_ptr()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.open]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.open]
    }

    /// Replaces a range with zeros, open or not. `Access::None` also closes everything
    /// after it.
    pub(crate) fn map_zero(&mut self, range: Range<usize>, access: Access) -> Result<(), OsError> {
        self.check(&range);
        fault::point(Call::Allocate)?;
        self.zero(range.clone());
        match access {
            Access::None => {
                self.close_from(range.start);
                Ok(())
            }
            Access::ReadWrite => self.open_range(&range),
        }
    }

    /// Opens a range, or closes one and everything after it. On failure, nothing has
    /// changed.
    pub(crate) fn protect(&mut self, range: Range<usize>, access: Access) -> Result<(), OsError> {
        self.check(&range);
        fault::point(Call::Allocate)?;
        match access {
            Access::None => {
                self.close_from(range.start);
                Ok(())
            }
            Access::ReadWrite => self.open_range(&range),
        }
    }

    /// Zeroes the range. The memory of a large tail is freed immediately, that of any
    /// other range when it is closed.
    pub(crate) fn discard(&mut self, range: Range<usize>) -> Result<(), OsError> {
        self.check(&range);
        fault::point(Call::Allocate)?;
        self.zero(range);
        Ok(())
    }

    /// Zeroes several ranges.
    pub(crate) fn discard_ranges(&mut self, ranges: &[Range<usize>]) -> Result<(), OsError> {
        ranges
            .iter()
            .try_for_each(|range| self.discard(range.clone()))
    }

    /// Zeroes parts of what is open, or copies the bytes that other targets map there.
    pub(crate) fn replace<'a>(
        &mut self,
        parts: impl Iterator<Item = Part<'a>> + Clone,
    ) -> Result<(), OsError> {
        fault::point(Call::Allocate)?;
        for part in parts {
            self.check(&part.range);
            self.zero(part.range.clone());
            if let Backing::File { source, position } = part.backing {
                let target = &mut self.buffer[part.range];
                let bytes = &source.bytes()[position..];
                let len = target.len().min(bytes.len());
                target[..len].copy_from_slice(&bytes[..len]);
            }
        }
        Ok(())
    }

    /// Zeroes a range, and closes everything from its start on.
    pub(crate) fn renew(&mut self, range: Range<usize>) -> Result<(), OsError> {
        match range.is_empty() {
            true => Ok(()),
            false => self.map_zero(range, Access::None),
        }
    }

    /// Nothing is ever lost on this path.
    pub(crate) const fn is_lost(&self) -> bool {
        false
    }

    /// Frees all memory.
    pub(crate) fn close(&mut self) {
        self.open = 0;
        self.used = 0;
        self.buffer = Vec::new();
    }

    fn check(&self, range: &Range<usize>) {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "outside the reservation"
        );
    }

    /// Zeroes the part of a range that is allocated.
    fn zero(&mut self, range: Range<usize>) {
        let range = range.start.min(self.used)..range.end.min(self.used);
        if range.end == self.used && LARGE <= range.len() {
            // Only the open bytes need memory.
            let len = self.open.max(range.start);
            if let Ok(buffer) = zeroed(len) {
                let old = mem::replace(&mut self.buffer, buffer);
                self.buffer[..range.start].copy_from_slice(&old[..range.start]);
                self.used = len;
                return;
            }
        }
        self.buffer[range].fill(0);
    }

    /// Closes everything from `at` on. Zeros at the end of what is closed are freed.
    fn close_from(&mut self, at: usize) {
        self.open = self.open.min(at);
        let closed = &self.buffer[self.open..self.used];
        let used = closed.len() - n_zeros_at_end(closed);
        let needed = self.open + used;
        self.used = needed;
        if needed < self.buffer.len() {
            self.buffer.truncate(needed);
            shrink(&mut self.buffer);
        }
    }

    /// Opens a range that starts within what is open, or at its end.
    fn open_range(&mut self, range: &Range<usize>) -> Result<(), OsError> {
        if range.start <= self.open && self.open < range.end {
            self.allocate(range.end)?;
            self.open = range.end;
            self.used = self.used.max(self.open);
        }
        Ok(())
    }

    /// Allocates at least `len` bytes, with room to grow, so that a memory that grows
    /// page by page is not copied each time.
    fn allocate(&mut self, len: usize) -> Result<(), OsError> {
        let now = self.buffer.len();
        if len <= now {
            return Ok(());
        }
        let with_room = now.saturating_add(now / 2).min(self.len).max(len);
        let mut buffer = zeroed(with_room).or_else(|_| zeroed(len))?;
        buffer[..self.used].copy_from_slice(&self.buffer[..self.used]);
        self.buffer = buffer;
        Ok(())
    }
}

/// Allocates a buffer of zeros, or returns an error if the allocation fails.
fn zeroed(len: usize) -> Result<Vec<u8>, OsError> {
    if len == 0 {
        return Ok(Vec::new());
    }
    let allocation = Allocation::array::<u8>(len).map_err(|_| OsError::out_of_memory())?;
    // SAFETY: the size is not zero.
    let start = unsafe { alloc_zeroed(allocation) };
    if start.is_null() {
        return Err(OsError::out_of_memory());
    }
    // SAFETY: just allocated by the allocator that `Vec` uses, with the alignment of a
    // byte and this length; all bytes are initialised.
    Ok(unsafe { Vec::from_raw_parts(start, len, len) })
}

/// Frees what a buffer has allocated beyond its length, unless the allocator refuses:
/// `shrink_to_fit` would end the process.
fn shrink(buffer: &mut Vec<u8>) {
    if buffer.is_empty() {
        *buffer = Vec::new();
        return;
    }
    let mut old = ManuallyDrop::new(mem::take(buffer));
    let (start, len, capacity) = (old.as_mut_ptr(), old.len(), old.capacity());
    let Ok(allocation) = Allocation::array::<u8>(capacity) else {
        *buffer = ManuallyDrop::into_inner(old);
        return;
    };
    // SAFETY: a `Vec` allocates with this layout, nothing else has the buffer, and the new size is
    // not zero.
    let shrunk = unsafe { realloc(start, allocation, len) };
    let (start, capacity) = match shrunk.is_null() {
        true => (start, capacity),
        false => (shrunk, len),
    };
    // SAFETY: allocated by the allocator that `Vec` uses, with the alignment of a byte and this
    // capacity; the first `len` bytes are initialised.
    *buffer = unsafe { Vec::from_raw_parts(start, len, capacity) };
}

fn n_zeros_at_end(bytes: &[u8]) -> usize {
    const CHUNK: usize = 4096;
    let chunks = bytes.rchunks(CHUNK);
    let zero_chunks = chunks.take_while(|chunk| is_zero(chunk));
    let n: usize = zero_chunks.map(<[u8]>::len).sum();
    let rest = bytes[..bytes.len() - n].iter().rev();
    n + rest.take_while(|byte| **byte == 0).count()
}
