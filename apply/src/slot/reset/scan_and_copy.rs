//! Finds the pages that were written, and copies their initial contents over them.

use core::ops::Range;

use super::super::memory_slot::MemorySlot;
use super::super::strategy::{ResetReport, Strategy};
use super::whole::{MANY_TABLES, Tally};
use crate::bytes::Zeros;
use crate::os::OsError;
use crate::sys::{self, PageKind, Pages, Reservation, ScanFor, Written, page_bytes};

/// The minimum number of pages that one scan looks for: pages of zeros are counted too,
/// although they use no memory.
const SCAN_PAGES: usize = 512;

/// A scan spends as long on a page table as on this many pages: about a microsecond.
const TABLE_PAGES: usize = 100;

/// With this many resident bytes, scanning the mapped image separately saves more than the
/// additional call costs.
const SEPARATE_FROM: usize = 256 << 10;

/// The maximum number of ranges whose page tables are freed one by one.
const IDLE_RANGES: usize = 16;

impl MemorySlot {
    /// Copies the initial contents over pages that were written, up to the budget.
    pub(super) fn scan_and_copy(&mut self) -> Result<ResetReport, OsError> {
        let page = page_bytes();
        let copied = self.copied_bytes();
        if self.keep_resident < copied.max(page) {
            // Nothing may stay, not even pages that were only read; and an image would
            // have to be copied again at once.
            if !sys::scan_support().is_yes() {
                return Err(sys::NOT_TRUSTED);
            }
            self.discard(0..self.touched())?;
            self.free_tables_periodically();
            if copied != 0 {
                self.hold(None, 0)?;
            }
            self.kept_end = 0;
            return Ok(self.report(&Tally::default(), Strategy::ScanAndCopy));
        }
        let is_round = self.is_round_due() && self.can_discard();
        let mapped = self.image.as_ref().map_or(0, |image| image.mapped_len());
        let discards_read = is_round && self.ageing.discards_read();
        // On the stack, and created only where needed: it is large.
        let mut stale = is_round.then(Stale::new);
        let mut written = Written::new();
        let mut report = Tally::default();
        // Nothing was accessible from `reach` on: that is scanned only in rounds, or to
        // find out how much is resident there.
        let known = match is_round {
            true => None,
            false if self.kept_end <= self.reach => Some(0),
            false => self.growth.resident_from(self.reach),
        };
        let end = match known {
            Some(_) => self.reach,
            None => self.touched(),
        };
        let mut at = 0;
        self.tables.begin();
        if is_round {
            self.ageing.begin_round();
        }
        while at < end {
            // One more than may stay, to find out whether there are more.
            let max_pages = ((self.keep_resident - report.kept) / page + 1).max(SCAN_PAGES);
            let scan_for = match is_round {
                true => ScanFor::Present,
                false if at < mapped => ScanFor::Written,
                false => ScanFor::WrittenAnonymous,
            };
            let stop = match at < mapped && SEPARATE_FROM <= self.ageing.resident() {
                true => mapped.min(end),
                false => end,
            };
            at = self
                .memory
                .scan(scan_for, at..stop, max_pages, &mut written)?;
            for pages in written.pages() {
                let Some(range) = self.written(&pages) else {
                    report.read += pages.range.len();
                    self.tables.note_read(&pages.range, !discards_read);
                    if let Some(stale) = stale.as_mut().filter(|_| discards_read) {
                        stale.push(pages.range, &mut self.memory)?;
                    }
                    continue;
                };
                let closed = range.start.max(self.reach)..range.end.max(self.reach);
                let range = range.start.min(self.reach)..range.end.min(self.reach);
                if !range.is_empty() {
                    report.n_ranges += 1;
                    report.written += range.len();
                    self.ageing.note_written(&range);
                }
                let excess = match &mut stale {
                    Some(stale) => self.restore_or_age(range, closed, stale, &mut report)?,
                    None => self.restore_within_budget(range, closed, &mut report),
                };
                let Some(excess) = excess else {
                    continue;
                };
                if let Some(stale) = &mut stale {
                    stale.discard(&mut self.memory)?;
                }
                self.discard_from(excess, &mut report)?;
                self.age(is_round, excess, &mut report)?;
                return Ok(self.report(&report, Strategy::ScanAndCopy));
            }
        }
        if let Some(stale) = &mut stale {
            stale.discard(&mut self.memory)?;
        }
        if let Some(closed) = known.filter(|closed| *closed != 0) {
            if self.keep_resident - report.kept < closed {
                self.discard(self.reach..self.touched())?;
            } else {
                report.kept += closed;
                report.closed = closed;
                report.kept_end = self.kept_end;
            }
        }
        // Not earlier: if that fails, the next strategy must find everything that was
        // kept.
        self.kept_end = report.kept_end;
        if !is_round {
            self.growth.scanned(self.reach, report.closed);
        }
        self.age(is_round, usize::MAX, &mut report)?;
        Ok(self.report(&report, Strategy::ScanAndCopy))
    }

    /// Ends a round, or records what another reset has found. It has searched up to `end`.
    fn age(&mut self, is_round: bool, end: usize, report: &mut Tally) -> Result<(), OsError> {
        let read = self.read_cost(report);
        if !is_round {
            self.ageing.found_read(read);
            return Ok(());
        }
        self.free_idle_tables(end, report)?;
        self.free_closed_tables(self.kept_end);
        self.growth.after_round(self.reach, report.closed);
        self.ageing.after_round(report.kept, read);
        Ok(())
    }

    /// Returns whether the next reset must decide which pages to keep.
    pub(super) fn is_round_due(&self) -> bool {
        self.ageing.is_due() || self.growth.is_due(self.reach)
    }

    /// Returns what later scans pay for pages that were only read, as bytes of such
    /// pages.
    fn read_cost(&self, tally: &Tally) -> usize {
        if tally.read == 0 {
            return 0;
        }
        let tables = self.tables.n_read_only().saturating_mul(TABLE_PAGES);
        tally
            .read
            .saturating_add(tables.saturating_mul(page_bytes()))
    }

    /// Returns the part of these pages that may differ from its initial contents. Pages
    /// of zeros can differ only within the image, and rarely do: see `sys/pagemap.rs`.
    pub(crate) fn written(&self, pages: &Pages) -> Option<Range<usize>> {
        match pages.kind {
            PageKind::Own => Some(pages.range.clone()),
            PageKind::File => None,
            PageKind::Zero => {
                let image = self.image.as_ref()?;
                let end = pages.range.end.min(image.mapped_len());
                let range = pages.range.start..end;
                (!range.is_empty() && !image.is_zero_in(range.clone())).then_some(range)
            }
        }
    }

    /// Restores written pages, and keeps those after the memory's end, as far as the budget
    /// allows. Returns where it ends, if it does.
    fn restore_within_budget(
        &mut self,
        range: Range<usize>,
        closed: Range<usize>,
        report: &mut Tally,
    ) -> Option<usize> {
        let (kept, rest) = self.split_at_budget(range, report);
        self.overwrite(kept.clone(), Zeros::after(report.kept));
        report.keep(&kept);
        self.tables.note(&kept, true);
        match rest.is_empty() {
            true => self.keep_closed_within_budget(closed, report),
            false => Some(rest.start),
        }
    }

    /// Does the same for the pages that differ from their initial contents, and in some rounds
    /// for all. Otherwise, the others are discarded: they were probably not written by this
    /// use. But not pages that hold a copy of the image: they would have to be copied again.
    ///
    /// Of the pages after the memory's end, it discards those that no use since the last
    /// round has reached.
    fn restore_or_age(
        &mut self,
        range: Range<usize>,
        closed: Range<usize>,
        stale: &mut Stale,
        report: &mut Tally,
    ) -> Result<Option<usize>, OsError> {
        let page = page_bytes();
        let keeps_unchanged = !self.ageing.discards_unchanged();
        // What is compared takes time, too.
        let most = self.keep_resident.saturating_add(SCAN_PAGES * page);
        for start in range.step_by(page) {
            if most - report.kept <= self.ageing.discarded() {
                return Ok(Some(start));
            }
            let addresses = start..start + page;
            let differed = self.restore(addresses.clone());
            let stays = differed || keeps_unchanged || self.is_copied(&addresses);
            if stays && self.keep_resident - report.kept < page {
                return Ok(Some(start));
            }
            self.tables.note(&addresses, stays);
            if stays {
                report.keep(&addresses);
            } else {
                self.ageing.note_discarded(&addresses);
                stale.push(addresses, &mut self.memory)?;
            }
        }
        let idle = closed.start.max(self.growth.highest().min(closed.end));
        let (closed, idle) = (closed.start..idle, idle..closed.end);
        let excess = self.keep_closed_within_budget(closed, report);
        if excess.is_none() && !idle.is_empty() {
            self.tables.note(&idle, false);
            stale.push(idle, &mut self.memory)?;
        }
        Ok(excess)
    }

    /// Keeps pages past the end of the memory, which have their initial contents, as far as
    /// the budget allows. Returns where it ends, if it does.
    fn keep_closed_within_budget(
        &mut self,
        closed: Range<usize>,
        report: &mut Tally,
    ) -> Option<usize> {
        let (kept, rest) = self.split_at_budget(closed, report);
        report.keep(&kept);
        report.closed += kept.len();
        self.tables.note(&kept, true);
        (!rest.is_empty()).then_some(rest.start)
    }

    /// Splits a range of pages where the budget ends.
    fn split_at_budget(&self, range: Range<usize>, report: &Tally) -> (Range<usize>, Range<usize>) {
        let page = page_bytes();
        let room = (self.keep_resident - report.kept) / page * page;
        let end = range.end.min(range.start.saturating_add(room));
        (range.start..end, end..range.end)
    }

    /// Discards everything from `start` on, where the budget ends. The copied part of the
    /// image is copied there again, or the image is dropped.
    fn discard_from(&mut self, start: usize, report: &mut Tally) -> Result<(), OsError> {
        // The tables of the rest were not tracked: if they may be many, fresh mappings free
        // them.
        let rest = start..self.touched();
        let fresh = start..self.reach;
        let is_large = MANY_TABLES * sys::table_bytes() <= fresh.len();
        if is_large && self.reach <= self.memory.open() && self.map_again(fresh).is_ok() {
            self.discard(self.reach..rest.end)?;
        } else {
            self.expect_open()?;
            self.discard(rest.clone())?;
        }
        self.copy_again_within_budget(rest, report)?;
        self.kept_end = report.kept_end;
        Ok(())
    }

    /// Frees page tables before `end` in which no page stays, so that scans need not walk
    /// them. They remain if the system has no room for the mappings that this takes.
    fn free_idle_tables(&mut self, end: usize, report: &mut Tally) -> Result<(), OsError> {
        let mut ranges: [Range<usize>; IDLE_RANGES] = [const { 0..0 }; IDLE_RANGES];
        let open = self.memory.open();
        let end = open.min(end);
        let mut n = 0;
        for range in self.tables.idle().filter(|range| range.start < end) {
            if let Some(place) = ranges.get_mut(n) {
                *place = range.start..range.end.min(end);
            }
            n += 1;
        }
        if IDLE_RANGES < n && self.map_again(0..open).is_ok() {
            // One call instead of many: what was kept is gone too, up to the memory's end.
            report.kept = report.closed;
            if report.closed == 0 {
                report.kept_end = 0;
            }
            let done = self.copy_again_within_budget(0..open, report);
            self.kept_end = report.kept_end;
            return done;
        }
        for range in ranges.into_iter().take(n) {
            // A call that failed may have left less open.
            if self.memory.open() < range.end || self.map_again(range).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Ranges that a round discards: many in one call, where the system supports it.
#[derive(Debug)]
struct Stale {
    ranges: [Range<usize>; BATCH],
    len: usize,
}

/// How many ranges are collected for one call. They are on the stack: a reset allocates
/// nothing.
const BATCH: usize = 256;

impl Stale {
    const fn new() -> Self {
        Self {
            ranges: [const { 0..0 }; BATCH],
            len: 0,
        }
    }

    /// Adds a range; it must come after those added before.
    fn push(&mut self, range: Range<usize>, memory: &mut Reservation) -> Result<(), OsError> {
        match self.ranges[..self.len].last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => {
                self.ranges[self.len] = range;
                self.len += 1;
            }
        }
        if self.len < BATCH {
            return Ok(());
        }
        self.discard(memory)
    }

    /// Discards all collected ranges.
    fn discard(&mut self, memory: &mut Reservation) -> Result<(), OsError> {
        let done = match &self.ranges[..self.len] {
            [] => Ok(()),
            ranges => memory.discard_ranges(ranges),
        };
        self.len = 0;
        done
    }
}
