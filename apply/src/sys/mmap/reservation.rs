//! A range of address space with guards, and what is mapped in it.
//!
//! Two kinds of system call change it. `mprotect` and `madvise` leave every address
//! mapped, whether they succeed or not. `mmap` with `MAP_FIXED` may unmap what it should
//! replace and then fail; another thread's mapping may fill the gap before anyone can
//! check. So [`replace`](Reservation::replace) first ensures that there is room, with
//! calls that change nothing when they fail, and gives a range up for good if `MAP_FIXED`
//! still fails.

use core::ffi::c_void;
use core::ops::Range;
use core::ptr::NonNull;

use super::super::super::access::Access;
use super::super::super::file::Storage;
use super::super::super::part::{Backing, Part};
use super::super::errno::failed;
use super::call::{self, Mark, page_bytes};
use crate::os::{Call, OsError};

/// An owned range of address space; the part that is not open has no access.
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
    /// What a failed `MAP_FIXED` may have unmapped: permanently no longer ours, and never
    /// passed to a call again. Positions; nothing in it is open. Empty if all is ours, but
    /// nobody knows what it shows.
    lost: Option<Range<usize>>,
}

// SAFETY: it owns its range like a `Vec<u8>` its buffer (invariant 1).
unsafe impl Send for Reservation {}
// SAFETY: `&Reservation` gives shared references only (invariant 3).
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves `len` bytes with a guard on either side, all multiples of the host page,
    /// with no access. Costs only address space.
    ///
    /// A large range starts at a page table boundary. A scan walks the page tables of its
    /// range completely: one that is shared with a neighbouring mapping costs as much as
    /// if its pages were ours. A very large one starts where a table of the next level does:
    /// such a table is freed only with all of its gibibyte, so one that a program has made in
    /// a second gibibyte, and that holds other mappings too, would stay.
    pub(in super::super) fn reserve(
        before: usize,
        len: usize,
        after: usize,
    ) -> Result<Self, OsError> {
        let aligned = |alignment| Self::reserve_aligned(before, len, after, alignment);
        if len < 8 * table_bytes() {
            return aligned(page_bytes());
        }
        if upper_table_bytes() <= len
            && let Ok(done) = aligned(upper_table_bytes())
        {
            return Ok(done);
        }
        // Where addresses are scarce.
        aligned(table_bytes())
    }

    fn reserve_aligned(
        before: usize,
        len: usize,
        after: usize,
        alignment: usize,
    ) -> Result<Self, OsError> {
        let no_room = failed(Call::Mmap, rustix::io::Errno::NOMEM);
        let page = page_bytes();
        let slack = alignment - page;
        let total = before
            .checked_add(len)
            .and_then(|sum| sum.checked_add(after)?.checked_add(slack))
            // No object may be larger: core::ptr, "Allocated object".
            .filter(|total| *total <= isize::MAX.unsigned_abs())
            .ok_or(no_room)?
            // mmap(2) refuses an empty range.
            .max(page);
        assert!(before.is_multiple_of(page) && len.is_multiple_of(page));
        let start = call::reserve(total)?;
        let start: NonNull<u8> = NonNull::new(start.cast()).ok_or(no_room)?;
        let base = start.addr().get() + before;
        let before = before + (base.next_multiple_of(alignment) - base);
        Ok(Self {
            start,
            total,
            before,
            len,
            open: 0,
            lost: None,
        })
    }

    /// Returns how many bytes from the base on are readable and writable, at least.
    pub(crate) const fn open(&self) -> usize {
        self.open
    }

    /// Returns whether a part of the range is permanently lost.
    pub(crate) const fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Returns the base: the first byte after the leading guard.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.at(0)
    }

    /// Returns the address of a position.
    pub(in super::super) fn at(&self, at: usize) -> *mut u8 {
        assert!(at <= self.len, "outside the reservation");
        // SAFETY: `at <= self.len`, so the result is within what was reserved, or one
        // past it (invariant 5).
        unsafe { self.start.as_ptr().add(self.before + at) }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: readable (invariant 2), and unchanged while `&self` lives (invariant
        // 3). Memory from the kernel is always initialised.
        unsafe { core::slice::from_raw_parts(self.at(0), self.open) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: writable (invariant 2), and `&mut self` is the only way to it
        // (invariant 3).
        unsafe { core::slice::from_raw_parts_mut(self.at(0), self.open) }
    }

    /// Allows or forbids access to a range. On failure, a part may have changed.
    pub(crate) fn protect(&mut self, range: Range<usize>, access: Access) -> Result<(), OsError> {
        let Some((at, len)) = self.part(&range)? else {
            return Ok(());
        };
        if access == Access::None {
            self.open = self.open.min(range.start);
        }
        // SAFETY: `part` checked that the range is ours; `&mut self` excludes live
        // references into it (invariant 3).
        unsafe { call::protect(at, len, access) }?;
        if access == Access::ReadWrite && range.start <= self.open {
            self.open = self.open.max(range.end);
        }
        Ok(())
    }

    /// Remaps parts of what is open, given in address order and disjoint. Their pages,
    /// and the page tables of what they cover, are freed.
    ///
    /// If it fails and nothing [is lost](Self::is_lost), nothing has changed, except that
    /// less may be [open](Self::open).
    pub(crate) fn replace<'a>(
        &mut self,
        parts: impl Iterator<Item = Part<'a>> + Clone,
    ) -> Result<(), OsError> {
        let Some(first) = parts.clone().next() else {
            return Ok(());
        };
        let _guard = call::room()?;
        let mut end = first.range.start;
        for part in parts.clone() {
            assert!(end <= part.range.start && part.range.end <= self.open);
            end = part.range.end;
            if let Backing::File { source, position } = &part.backing {
                source.check(*position, part.range.len())?;
            }
        }
        let open = self.open;
        let mut has_changed = false;
        let done = self.separate_all(parts.clone()).and_then(|()| {
            for part in largest_first(&parts) {
                self.map_fixed(&part, Access::ReadWrite)?;
                has_changed = true;
            }
            Ok(())
        });
        if done.is_err() {
            if has_changed && !self.is_lost() {
                // All of it is still ours, but some parts have changed.
                self.lost = Some(first.range.start..first.range.start);
            }
            if self.is_lost() {
                return done;
            }
            for part in parts {
                if let Some((at, len)) = self.part(&part.range)? {
                    // SAFETY: as in `separate`.
                    unsafe { call::unmark(at, len) };
                }
            }
            self.protect(first.range.start..end, Access::ReadWrite)?;
        }
        self.open = open;
        done
    }

    /// Makes each part a mapping of its own, with calls that change nothing if there is
    /// no room for it. Then `MAP_FIXED` replaces a whole mapping, and adds none.
    ///
    /// On failure, parts may be without access.
    fn separate_all<'a>(&mut self, parts: impl Iterator<Item = Part<'a>>) -> Result<(), OsError> {
        let mut before = None;
        for part in parts {
            let mark = match before {
                // Two neighbours with the same mark would be merged.
                Some((end, Mark::Access)) if end == part.range.start => Mark::Advice,
                _ => Mark::Access,
            };
            before = Some((part.range.end, mark));
            self.separate(&part.range, mark)?;
        }
        Ok(())
    }

    fn separate(&mut self, range: &Range<usize>, mark: Mark) -> Result<(), OsError> {
        let Some((at, len)) = self.part(range)? else {
            return Ok(());
        };
        self.open = self.open.min(range.start);
        // SAFETY: `part` checked that the range is ours; `&mut self` excludes live
        // references into it (invariant 3).
        unsafe { call::separate(at, len, mark) }
    }

    /// Replaces a range with fresh memory without access. If it fails and nothing [is
    /// lost](Self::is_lost), nothing has changed.
    pub(crate) fn renew(&mut self, range: Range<usize>) -> Result<(), OsError> {
        if range.is_empty() {
            return Ok(());
        }
        let _guard = call::room()?;
        let part = Part {
            range,
            backing: Backing::Zero,
        };
        self.map_fixed(&part, Access::None)
    }

    fn map_fixed(&mut self, part: &Part<'_>, access: Access) -> Result<(), OsError> {
        let Some((at, len)) = self.part(&part.range)? else {
            return Ok(());
        };
        self.open = self.open.min(part.range.start);
        let done = match &part.backing {
            // SAFETY: `part` checked that the range is ours; `&mut self` excludes live
            // references into it (invariant 3).
            Backing::Zero => unsafe { call::map_zero(at, len, access) },
            Backing::File { source, position } => match source.fd() {
                Some(file) => {
                    let offset = source.offset_of(*position);
                    // SAFETY: as above; the bytes of a source never change (invariant 4).
                    unsafe { call::map_file(at, len, file, offset) }
                }
                None => return Err(failed(Call::Mmap, rustix::io::Errno::BADF)),
            },
        };
        if let Err(err) = &done
            && !call::leaves_range_alone(err, is_ours(&part.backing))
        {
            // mmap(2): a failed call with `MAP_FIXED` may have unmapped the range. No
            // later answer of the kernel could prove that it is still ours.
            self.lost = Some(part.range.clone());
        }
        done
    }

    /// Removes all remaining access, as far as the system still accepts calls: for code
    /// that has kept an address.
    pub(crate) fn close(&mut self) {
        self.open = 0;
        for range in self.owned(0..self.len) {
            if range.is_empty() {
                continue;
            }
            let (at, len) = (self.at(range.start).cast(), range.len());
            // SAFETY: we own it (invariant 1: `owned` excludes what was lost), and `&mut
            // self` excludes live references into it (invariant 3).
            let _ = unsafe { call::protect(at, len, Access::None) };
        }
    }

    /// Returns the address and length of a range; `None` if it is empty.
    pub(in super::super) fn part(
        &self,
        range: &Range<usize>,
    ) -> Result<Option<(*mut c_void, usize)>, OsError> {
        let page = page_bytes();
        assert!(range.start <= range.end && range.end <= self.len);
        assert!(range.start.is_multiple_of(page) && range.end.is_multiple_of(page));
        if self.lost.is_some() {
            return Err(failed(Call::Mmap, rustix::io::Errno::NOMEM));
        }
        let part = (self.at(range.start).cast(), range.end - range.start);
        Ok((part.1 != 0).then_some(part))
    }

    /// Returns the parts of a range that are still ours.
    fn owned(&self, range: Range<usize>) -> [Range<usize>; 2] {
        match &self.lost {
            None => [range.clone(), range.end..range.end],
            Some(lost) => [range.start..lost.start, lost.end..range.end],
        }
    }
}

/// Returns whether what is mapped is memory, or a file of our own.
fn is_ours(backing: &Backing<'_>) -> bool {
    match backing {
        Backing::Zero => true,
        Backing::File { source, .. } => source.storage() == Storage::Sparse,
    }
}

/// Returns the parts with the largest first, which is the most likely to be refused: then nothing
/// has changed yet.
fn largest_first<'a, I>(parts: &I) -> impl Iterator<Item = Part<'a>>
where
    I: Iterator<Item = Part<'a>> + Clone,
{
    let numbered = parts.clone().enumerate();
    let largest = numbered.max_by_key(|(_, part)| part.range.len());
    let nth_largest = largest.map(|(nth, _)| nth);
    let is_largest = move |nth: usize| Some(nth) == nth_largest;
    let parts = || parts.clone().enumerate();
    let first = parts().filter(move |(nth, _)| is_largest(*nth));
    let others = parts().filter(move |(nth, _)| !is_largest(*nth));
    first.chain(others).map(|(_, part)| part)
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let (start, base) = (self.start.addr().get(), self.before);
        // What was lost is in the middle; its positions are relative to the base.
        let lost = self.lost.clone().unwrap_or(self.len..self.len);
        for range in [0..base + lost.start, base + lost.end..self.total] {
            if range.is_empty() {
                continue;
            }
            let at = self.start.as_ptr().with_addr(start + range.start).cast();
            // SAFETY: we own all of it (invariants 1 and 5; what was lost is excluded),
            // and `&mut self` excludes live references into it (invariant 3). If it
            // fails, nobody has its address.
            let _ = unsafe { call::unmap(at, range.len()) };
        }
    }
}

/// Returns how many bytes one lowest-level page table maps.
pub(crate) fn table_bytes() -> usize {
    let page = page_bytes();
    page / size_of::<u64>() * page
}

/// Returns how many bytes a table of the next level maps: 1 GiB with pages of 4 KiB.
fn upper_table_bytes() -> usize {
    table_bytes().saturating_mul(page_bytes() / size_of::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use wasm_meminit_test_support::skips::skip_test;

    #[test]
    fn a_large_range_starts_at_a_page_table_and_has_its_guards() {
        let page = page_bytes();
        let table = table_bytes();
        let reserve = |len| Reservation::reserve(page, len, 3 * page);
        // Several: the first may be aligned by chance.
        let five = |len| (0..5).map(|_| reserve(len)).collect::<Result<Vec<_>, _>>();
        let Ok(large) = five(8 * table) else {
            skip_test("there are not enough addresses");
            return;
        };
        for it in &large {
            assert!(it.at(0).addr().is_multiple_of(table));
            assert!(page <= it.before);
            assert!(it.before + it.len + 3 * page <= it.total);
        }
        if let Ok(very_large) = five(upper_table_bytes() + page) {
            let is_aligned = |it: &Reservation| it.at(0).addr().is_multiple_of(upper_table_bytes());
            assert!(very_large.iter().all(is_aligned));
        }
        let small = reserve(8 * table - page).expect("addresses");
        assert_eq!((small.before, small.total), (page, 8 * table + 3 * page));
    }

    /// `MAP_FIXED` over a part that shares a mapping with another one adds a mapping, and
    /// fails if the process is at its limit.
    #[cfg(target_os = "linux")]
    #[test]
    fn replaced_parts_share_no_mapping() {
        let page = page_bytes();
        for edges in [
            &[1, 2, 3][..],
            &[0, 1, 2, 3, 4, 5],
            &[0, 2, 5, 7],
            &[3, 8],
            &[0, 8],
        ] {
            let mut it = Reservation::reserve(page, 8 * page, page).expect("addresses");
            it.protect(0..8 * page, Access::ReadWrite).expect("room");
            let parts = edges.windows(2).map(|pair| Part {
                range: pair[0] * page..pair[1] * page,
                backing: Backing::Zero,
            });
            it.separate_all(parts.clone()).expect("room");
            let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
            for part in parts {
                let [start, end] = [part.range.start, part.range.end].map(|at| it.at(at).addr());
                let line = std::format!("{start:08x}-{end:08x} ");
                assert!(maps.contains(&line), "{edges:?}: {line}\n{maps}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside the reservation")]
    fn addresses_outside_the_reservation_panic() {
        let page = page_bytes();
        let small = Reservation::reserve(0, page, page).expect("addresses");
        let _ = small.at(page + 1);
    }
}
