//! Records the pages that a use writes, and prefetches them for the next one.

use alloc::vec::Vec;
use core::ops::Range;

use super::memory_slot::MemorySlot;
use crate::error::SlotError;
use crate::sys::{ScanFor, Written, page_bytes};

/// The pages that one use of a memory wrote to, from [`MemorySlot::record`].
///
/// A fresh slot's first use faults on each of them (about 1.2 µs); prefetched with
/// [`MemorySlot::prefetch`], they cost about half. Works for any slot that starts from
/// the same image: prefetching a page that is not needed costs time and memory, but never
/// changes contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkingSet {
    // Invariant: in address order, non-empty, page-aligned, disjoint.
    ranges: Vec<Range<usize>>,
}

impl WorkingSet {
    /// Returns the address ranges of the pages, in bytes, in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> + '_ {
        let addr = |at: usize| u64::try_from(at).unwrap_or(u64::MAX);
        self.ranges
            .iter()
            .map(move |range| addr(range.start)..addr(range.end))
    }

    /// Returns the total size of the pages in bytes.
    pub fn bytes(&self) -> u64 {
        self.ranges().map(|range| range.end - range.start).sum()
    }
}

impl MemorySlot {
    /// Returns which pages are written.
    ///
    /// They were written by this use, or by earlier ones whose pages were kept.
    ///
    /// On a slot's first use: exactly the pages it wrote. Call before
    /// [`reset`](Self::reset).
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`], [`SlotError::Poisoned`]; [`SlotError::Os`] if this system
    /// cannot find written pages.
    pub fn record(&self) -> Result<WorkingSet, SlotError> {
        self.expect_in_use()?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut written = Written::new();
        let mut at = 0;
        while at < self.reach {
            let rest = at..self.reach;
            at = self
                .memory
                .scan(ScanFor::Written, rest, usize::MAX, &mut written)?;
            for range in written.pages().filter_map(|pages| self.written(&pages)) {
                match ranges.last_mut() {
                    Some(last) if last.end == range.start => last.end = range.end,
                    _ => ranges.push(range),
                }
            }
        }
        Ok(WorkingSet { ranges })
    }

    /// Faults in the pages of a working set, and returns how many bytes.
    ///
    /// Pages past the end of the memory are skipped. Call after
    /// [`instantiate`](Self::instantiate).
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`], [`SlotError::Poisoned`]; [`SlotError::Os`] if the system
    /// cannot prefetch pages: then the use takes its faults as it goes.
    pub fn prefetch(&mut self, pages: &WorkingSet) -> Result<u64, SlotError> {
        let bytes = self.expect_in_use()?;
        // Whole pages only: with custom page sizes, the memory may end inside the last
        // one.
        let end = bytes.next_multiple_of(page_bytes());
        let mut fetched = 0;
        for range in &pages.ranges {
            let range = range.start.min(end)..range.end.min(end);
            fetched += range.len();
            self.memory.populate(range)?;
        }
        Ok(u64::try_from(fetched).unwrap_or(u64::MAX))
    }
}
