//! A range of addresses with guards, and what is mapped in it.

use core::ffi::c_void;
use core::ops::Range;
use core::ptr::NonNull;

use super::super::super::Access;
use super::{call, failed, host_page_size};
use crate::error::{Call, OsError};
use crate::image::Piece;

/// Addresses that are ours; those that are not open have no access.
#[derive(Debug)]
pub(crate) struct Reservation {
    // Invariants 1 to 3 of `sys`, and:
    // 5. `start..start + total` is what was reserved, and `before + len <= total`.
    // 6. `open <= len`, and both are multiples of the host page.
    start: NonNull<u8>,
    total: usize,
    before: usize,
    len: usize,
    open: usize,
    /// Whether invariant 1 holds: a call that failed may have unmapped a part, and
    /// other threads may have mapped something there since.
    owned: bool,
}

// SAFETY: it owns its range like a `Vec<u8>` its buffer (invariant 1).
unsafe impl Send for Reservation {}
// SAFETY: `&Reservation` gives shared references only (invariant 3).
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves `len` bytes with a guard on either side, all multiples of the host
    /// page, nothing of it accessible. Costs address space only.
    ///
    /// What is large begins where a page table does. A scan reads the tables of its
    /// range as they are: one that is shared with whatever is mapped next to it costs as
    /// much as if its pages were ours.
    pub(crate) fn new(before: usize, len: usize, behind: usize) -> Result<Self, OsError> {
        let no_room = failed(Call::Mmap, rustix::io::Errno::NOMEM);
        let page = page_bytes();
        let table = page / size_of::<u64>() * page;
        let slack = if len / 8 < table { 0 } else { table - page };
        let total = before
            .checked_add(len)
            .and_then(|sum| sum.checked_add(behind)?.checked_add(slack))
            // No object may be larger: core::ptr, "Allocated object".
            .filter(|total| *total <= isize::MAX.unsigned_abs())
            .ok_or(no_room)?
            // mmap(2) refuses an empty range.
            .max(page);
        assert!(before.is_multiple_of(page) && len.is_multiple_of(page));
        let start: NonNull<u8> = NonNull::new(call::reserve(total)?.cast()).ok_or(no_room)?;
        let base = start.addr().get() + before;
        let before = match slack {
            0 => before,
            _ => before + (base.next_multiple_of(table) - base),
        };
        Ok(Self {
            start,
            total,
            before,
            len,
            open: 0,
            owned: true,
        })
    }

    /// How many bytes there are between the guards.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many bytes from the base on are readable and writable, at least.
    pub(crate) const fn open(&self) -> usize {
        self.open
    }

    /// The base: the first byte behind the guard before.
    pub(crate) const fn as_ptr(&mut self) -> *mut u8 {
        self.at(0)
    }

    /// The address of a position.
    pub(in super::super) const fn at(&self, at: usize) -> *mut u8 {
        // SAFETY: callers pass `at <= self.len`, so the result is within what was
        // reserved, or one past it (invariant 5).
        unsafe { self.start.as_ptr().add(self.before + at) }
    }

    pub(crate) const fn bytes(&self) -> &[u8] {
        // SAFETY: readable (invariant 2), and unchanged while `&self` lives
        // (invariant 3). Memory of the kernel's is never uninitialised.
        unsafe { core::slice::from_raw_parts(self.at(0), self.open) }
    }

    pub(crate) const fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: writable (invariant 2), and `&mut self` is the only way to it
        // (invariant 3).
        unsafe { core::slice::from_raw_parts_mut(self.at(0), self.open) }
    }

    /// Replaces a range by fresh zeroed memory.
    pub(crate) fn map_zero(&mut self, range: Range<usize>, access: Access) -> Result<(), OsError> {
        let Some((at, len)) = self.part(&range)? else {
            return Ok(());
        };
        let before = self.close_from(range.start);
        // SAFETY: `part` checked that the range is ours; `&mut self` excludes live
        // references into it (invariant 3).
        let done = unsafe { call::map_zero(at, len, access) };
        self.mapped(done, &range, access, before)
    }

    /// Replaces a part of the range by a private mapping of a file.
    pub(crate) fn map_piece(&mut self, piece: &Piece<'_>) -> Result<(), OsError> {
        let range = piece.at..piece.at + piece.len;
        let (Some(file), Some((at, len))) = (piece.source.fd(), self.part(&range)?) else {
            return Ok(());
        };
        let before = self.close_from(range.start);
        // SAFETY: as in `map_zero`; the bytes of a source never change (invariant 4).
        let done = unsafe { call::map_file(at, len, file, piece.offset) };
        self.mapped(done, &range, Access::ReadWrite, before)
    }

    /// Lets the program use a range, or not. Where it fails, a part may have changed.
    pub(crate) fn protect(&mut self, range: Range<usize>, access: Access) -> Result<(), OsError> {
        let Some((at, len)) = self.part(&range)? else {
            return Ok(());
        };
        if access == Access::None {
            self.close_from(range.start);
        }
        // SAFETY: `part` checked that the range is ours; `&mut self` excludes live
        // references into it (invariant 3).
        unsafe { call::protect(at, len, access) }?;
        if access == Access::ReadWrite {
            self.open_to(&range);
        }
        Ok(())
    }

    /// The system's view of a range; `None` for an empty one.
    pub(in super::super) fn part(
        &self,
        range: &Range<usize>,
    ) -> Result<Option<(*mut c_void, usize)>, OsError> {
        let page = page_bytes();
        assert!(range.start <= range.end && range.end <= self.len);
        assert!(range.start.is_multiple_of(page) && range.end.is_multiple_of(page));
        if !self.owned {
            return Err(failed(Call::Mmap, rustix::io::Errno::NOMEM));
        }
        let part = (self.at(range.start).cast(), range.end - range.start);
        Ok((part.1 != 0).then_some(part))
    }

    /// Forgets that anything from `at` on is open, and returns what was.
    const fn close_from(&mut self, at: usize) -> usize {
        let before = self.open;
        if at < self.open {
            self.open = at;
        }
        before
    }

    const fn open_to(&mut self, range: &Range<usize>) {
        if range.start <= self.open && self.open < range.end {
            self.open = range.end;
        }
    }

    /// Takes note of what `mmap` did with a range.
    fn mapped(
        &mut self,
        done: Result<(), OsError>,
        range: &Range<usize>,
        access: Access,
        open_before: usize,
    ) -> Result<(), OsError> {
        match done {
            Ok(()) if access == Access::ReadWrite => {
                self.open_to(range);
                // What was open behind the range still is.
                if range.end <= open_before && range.end == self.open {
                    self.open = open_before;
                }
                Ok(())
            }
            Ok(()) => Ok(()),
            // mmap(2): a call with `MAP_FIXED` that fails may have unmapped the range.
            // Then it is no longer ours, and nothing may touch it again.
            Err(err) => {
                let at = self.at(range.start).cast();
                self.owned = call::is_mapped(at, range.end - range.start);
                Err(err)
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        // SAFETY: all of it is ours (invariants 1 and 5), and `&mut self` excludes live
        // references into it (invariant 3). Where it fails nobody has its address.
        let _ = unsafe { call::unmap(self.start.as_ptr().cast(), self.total) };
    }
}

pub(in super::super) fn page_bytes() -> usize {
    // Never truncates: a page fits memory.
    usize::try_from(host_page_size().bytes()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn what_is_large_begins_where_a_page_table_does_and_has_its_guards() {
        let page = page_bytes();
        let table = page / 8 * page;
        let reserve = |len| Reservation::new(page, len, 3 * page);
        // Several: the first one may lie well by chance.
        let Ok(large) = (0..5)
            .map(|_| reserve(8 * table))
            .collect::<Result<Vec<_>, _>>()
        else {
            std::eprintln!("skipped: not enough addresses");
            return;
        };
        for it in &large {
            assert!(it.at(0).addr().is_multiple_of(table));
            assert!(page <= it.before);
            assert!(it.before + it.len + 3 * page <= it.total);
        }
        let small = reserve(8 * table - page).expect("addresses");
        assert_eq!((small.before, small.total), (page, 8 * table + 3 * page));
    }
}
