//! The pages that a use writes, remembered and fetched ahead of the next one.

use alloc::vec::Vec;
use core::ops::Range;

use crate::error::SlotError;
use crate::slot::MemorySlot;
use crate::sys::{Look, Written, page_bytes};

/// Which pages one use of a memory wrote to, from [`MemorySlot::record`].
///
/// A fresh slot's first use faults on each of them (about 1.2 µs); fetched ahead of it
/// with [`MemorySlot::prefetch`], they cost about half. Good for any slot that starts from
/// the same image: what is fetched but not needed costs time and memory, never bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkingSet {
    // Invariant: in address order, not empty, aligned to host pages, apart.
    ranges: Vec<Range<usize>>,
}

impl WorkingSet {
    /// Addresses of the pages, in bytes, in order.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> + '_ {
        let addr = |at: usize| u64::try_from(at).unwrap_or(u64::MAX);
        self.ranges
            .iter()
            .map(move |range| addr(range.start)..addr(range.end))
    }

    /// How many bytes the pages have together.
    pub fn bytes(&self) -> u64 {
        self.ranges().map(|range| range.end - range.start).sum()
    }
}

impl MemorySlot {
    /// Which pages are written: by this use, or by earlier ones and kept.
    ///
    /// Of a slot in its first use, what that use wrote. To be called before
    /// [`reset`](Self::reset).
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`], [`SlotError::Poisoned`]; [`SlotError::Os`] where this
    /// system cannot find written pages.
    pub fn record(&self) -> Result<WorkingSet, SlotError> {
        self.expect_in_use()?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut written = Written::new();
        let mut at = 0;
        while at < self.reach {
            let rest = at..self.reach;
            at = self
                .memory
                .scan(Look::Written, rest, usize::MAX, &mut written)?;
            for range in written.pages().filter_map(|pages| self.written(&pages)) {
                match ranges.last_mut() {
                    Some(last) if last.end == range.start => last.end = range.end,
                    _ => ranges.push(range),
                }
            }
        }
        Ok(WorkingSet { ranges })
    }

    /// Faults the pages of a working set in, as far as they are within the memory.
    /// Returns how many bytes. To be called behind [`instantiate`](Self::instantiate).
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`], [`SlotError::Poisoned`]; [`SlotError::Os`] where the
    /// system does not fetch pages ahead: then the use takes its faults as it goes.
    pub fn prefetch(&mut self, pages: &WorkingSet) -> Result<u64, SlotError> {
        let bytes = self.expect_in_use()?;
        // Whole pages only: with custom page sizes, the last one may be half ours.
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
