//! From "used" back to the initial contents, with nothing left over.
//!
//! | strategy      | costs                                  | wins                         |
//! |---------------|----------------------------------------|------------------------------|
//! | scan and copy | a scan, and a copy of each page written | nearly always: the next use finds its pages in place |
//! | drop          | one call, then a fault for each page that the next use touches | where memory counts more than time, or without page maps |
//! | remap         | as drop, and the image is mapped again | where pages cannot be discarded |
//! | copy          | every byte of the memory is compared   | small memories without mappings; where all else is refused |
//!
//! Measured, from no page to all of them: docs/reset-cost.md of the repository.

use core::fmt;
use core::ops::Range;

use crate::ageing::Stale;
use crate::error::{OsError, SlotError};
use crate::placement::pages_of;
use crate::slot::{MemorySlot, State};
use crate::sys::{self, Look, PageKind, Pages, Written, page_bytes};

/// Pages that one scan looks for, at least: pages of zeros count, and take no room.
const SCAN_PAGES: usize = 512;

/// A scan spends as long on a page table as on this many pages in one: about a
/// microsecond.
const TABLE_PAGES: usize = 100;

/// From this many page tables on, fresh mappings are worth their calls.
const MANY_TABLES: usize = 8;

/// Up to so many ranges, page tables are freed one range after the other.
const IDLE_RANGES: usize = 16;

/// How a [`MemorySlot`] gets rid of what a use has written.
///
/// Each has the same effect. Where the system refuses one, the next of *scan and copy*,
/// *drop*, *remap*, *copy* takes over. A call that this process has tried and found to
/// do nothing is not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// What suits the system and the last uses. Scan and copy, where pages that were
    /// written can be found and may stay resident; otherwise drop; otherwise remap;
    /// without mappings, copy.
    #[default]
    Auto,
    /// Finds the pages that were written and writes their initial contents over them, up
    /// to the residency budget; discards the rest (Linux 6.7).
    ScanAndCopy,
    /// Discards all pages in one call (Linux).
    Drop,
    /// Replaces the mappings; the next start maps the image again.
    Remap,
    /// Compares every byte of the memory, and writes those that differ; asks nothing of
    /// the system.
    Copy,
}

/// What one [`reset`](MemorySlot::reset) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResetReport {
    /// What did it in the end; never [`Strategy::Auto`].
    pub by: Strategy,
    /// Bytes of the pages that were found written, as far as they were looked for.
    pub written_bytes: u64,
    /// In how many ranges.
    pub n_ranges: u64,
    /// Bytes of the slot's own pages that stay resident for the next use.
    pub resident_bytes: u64,
    /// Bytes of the slot's page tables, as far as scans have found them: a page that was
    /// only read leaves one, too.
    pub page_table_bytes: u64,
}

impl MemorySlot {
    /// Ends the use: the next one finds nothing of it, and the slot is ready.
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`]; [`SlotError::Poisoned`], also where it became so now.
    pub fn reset(&mut self) -> Result<ResetReport, SlotError> {
        self.reset_by(self.choose())
    }

    /// The same, beginning with a strategy.
    pub(crate) fn reset_by(&mut self, mut by: Strategy) -> Result<ResetReport, SlotError> {
        self.expect_in_use()?;
        let report = loop {
            // A call that failed, and could not be undone, left a part without access.
            if self.memory.open() < self.reach && by != Strategy::Remap {
                let _ = self.open_to(self.reach);
                if self.memory.open() < self.reach && by == Strategy::Copy {
                    return Err(self.poison());
                }
            }
            // A way that failed leaves pages with and without their initial contents;
            // the next is right whatever there is.
            let done = match by {
                Strategy::ScanAndCopy => self.scan_and_copy(),
                Strategy::Drop => self.discard_all(),
                Strategy::Remap => self.remap(),
                Strategy::Copy | Strategy::Auto => Ok(self.copy_all()),
            };
            if self.memory.is_lost() {
                return Err(self.poison());
            }
            if let Ok(report) = done {
                break report;
            }
            by = match by {
                Strategy::ScanAndCopy if self.can_discard() => Strategy::Drop,
                Strategy::ScanAndCopy | Strategy::Drop => Strategy::Remap,
                _ => Strategy::Copy,
            };
        };
        self.state = State::Ready;
        self.ageing.after_reset(&report);
        Ok(report)
    }

    /// What a reset would begin with now; never [`Strategy::Auto`].
    pub(crate) fn choose(&self) -> Strategy {
        let wanted = match self.strategy {
            Strategy::Auto if self.ageing.is_hopeless() || self.keep_resident == 0 => {
                self.without_scans()
            }
            Strategy::Auto if sys::scan_support().is_yes() => Strategy::ScanAndCopy,
            Strategy::Auto => self.without_scans(),
            forced => forced,
        };
        match wanted {
            Strategy::ScanAndCopy if !self.trusts_image() => Strategy::Remap,
            Strategy::Drop if !self.can_discard() => Strategy::Remap,
            wanted => wanted,
        }
    }

    /// What suits the system where written pages are not looked for. A copy keeps all of
    /// the memory resident.
    fn without_scans(&self) -> Strategy {
        match sys::DEFAULT_STRATEGY {
            Strategy::Copy if self.keep_resident < self.touched() => Strategy::Drop,
            by => by,
        }
    }

    /// Writes the initial contents over pages that were written, up to the budget.
    fn scan_and_copy(&mut self) -> Result<ResetReport, OsError> {
        let page = page_bytes();
        let copied = self.copied_bytes();
        if self.keep_resident < copied.max(page) {
            // Nothing may stay, be it only read; and an image would have to be copied
            // again at once.
            if !sys::scan_support().is_yes() {
                return Err(sys::NOT_TRUSTED);
            }
            self.discard(0..self.touched())?;
            self.free_tables_now_and_then();
            if copied != 0 {
                self.hold(None, 0)?;
            }
            self.kept_end = 0;
            return Ok(self.report(&Tally::default(), Strategy::ScanAndCopy));
        }
        let is_round = self.ageing.is_due() && self.can_discard();
        let look = match is_round {
            true => Look::Present,
            false => Look::Written,
        };
        let drops_read = is_round && self.ageing.discards_read();
        // On the stack, and made only where it is needed: it is large.
        let mut stale = is_round.then(Stale::new);
        let mut written = Written::new();
        let mut report = Tally::default();
        let end = self.touched();
        let mut at = 0;
        self.tables.begin();
        while at < end {
            // One more than may stay, to see whether there is more.
            let max_pages = ((self.keep_resident - report.kept) / page + 1).max(SCAN_PAGES);
            at = self.memory.scan(look, at..end, max_pages, &mut written)?;
            for pages in written.pages() {
                let Some(range) = self.written(&pages) else {
                    report.read += pages.range.len();
                    self.tables.note_read(&pages.range, !drops_read);
                    if let Some(stale) = stale.as_mut().filter(|_| drops_read) {
                        stale.push(pages.range, &mut self.memory)?;
                    }
                    continue;
                };
                // From `reach` on, nothing was accessible: such pages are as they were.
                let closed = range.start.max(self.reach)..range.end.max(self.reach);
                let range = range.start.min(self.reach)..range.end.min(self.reach);
                if !range.is_empty() {
                    report.n_ranges += 1;
                    report.written += range.len();
                }
                let room = self.keep_resident - report.kept;
                if room < range.len() + closed.len() {
                    if let Some(stale) = &mut stale {
                        stale.discard(&mut self.memory)?;
                    }
                    return self.over_budget(range, room / page * page, report);
                }
                if let Some(stale) = &mut stale {
                    self.restore_or_age(range, stale, &mut report)?;
                    if !closed.is_empty() {
                        self.tables.note(&closed, false);
                        stale.push(closed, &mut self.memory)?;
                    }
                } else {
                    self.restore(range.clone());
                    for range in [range, closed] {
                        report.keep(&range);
                        self.tables.note(&range, true);
                    }
                }
            }
        }
        if let Some(stale) = &mut stale {
            stale.discard(&mut self.memory)?;
        }
        // Not before: where that fails, the next way has to find all that was kept.
        self.kept_end = report.kept_end;
        if is_round {
            let read = self.read_cost(&report);
            self.free_idle_tables(&mut report)?;
            self.free_closed_tables();
            self.ageing.after_round(report.kept, read);
        } else {
            self.ageing.found_read(self.read_cost(&report));
        }
        Ok(self.report(&report, Strategy::ScanAndCopy))
    }

    /// What later scans pay for pages that were only read, as bytes of such pages.
    fn read_cost(&self, tally: &Tally) -> usize {
        if tally.read == 0 {
            return 0;
        }
        let tables = self.tables.n_read_only().saturating_mul(TABLE_PAGES);
        tally
            .read
            .saturating_add(tables.saturating_mul(page_bytes()))
    }

    /// What of these pages may differ from its initial contents. Pages of zeros do only
    /// within the image, and hardly ever: see `sys/pagemap.rs`.
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

    /// Keeps what there is room for of a range, and discards everything after it.
    fn over_budget(
        &mut self,
        range: Range<usize>,
        room: usize,
        mut report: Tally,
    ) -> Result<ResetReport, OsError> {
        let keep = range.start..range.end.min(range.start + room);
        self.restore(keep.clone());
        report.keep(&keep);
        self.tables.note(&keep, true);
        // Nobody has counted the tables of the rest: fresh mappings free them.
        let rest = keep.end..self.touched();
        let fresh = keep.end..self.reach;
        let is_large = MANY_TABLES * sys::table_bytes() <= fresh.len();
        if is_large && self.reach <= self.memory.open() && self.map_again(fresh).is_ok() {
            self.discard(self.reach..rest.end)?;
        } else {
            self.expect_open()?;
            self.discard(rest.clone())?;
        }
        self.copy_again_within_budget(rest, &mut report)?;
        self.kept_end = report.kept_end;
        Ok(self.report(&report, Strategy::ScanAndCopy))
    }

    /// Restores the pages that differ from their initial contents; the others were not
    /// written by this use, and are discarded. Copied pages of the image stay: they would
    /// have to be copied again.
    fn restore_or_age(
        &mut self,
        range: Range<usize>,
        stale: &mut Stale,
        report: &mut Tally,
    ) -> Result<(), OsError> {
        let page = page_bytes();
        for start in range.step_by(page) {
            let addresses = start..start + page;
            let stays = self.restore(addresses.clone()) || self.is_copied(&addresses);
            self.tables.note(&addresses, stays);
            if stays {
                report.keep(&addresses);
            } else {
                stale.push(addresses, &mut self.memory)?;
            }
        }
        Ok(())
    }

    /// Frees page tables in which no page stays, so that scans need not walk them. They
    /// may stay where the system has no room for that.
    fn free_idle_tables(&mut self, report: &mut Tally) -> Result<(), OsError> {
        let mut ranges: [Range<usize>; IDLE_RANGES] = [const { 0..0 }; IDLE_RANGES];
        let open = self.memory.open();
        let mut n = 0;
        for range in self.tables.idle().filter(|range| range.start < open) {
            if let Some(place) = ranges.get_mut(n) {
                *place = range.start..range.end.min(open);
            }
            n += 1;
        }
        if IDLE_RANGES < n && self.map_again(0..open).is_ok() {
            // In fewer calls: what was kept is gone too.
            report.kept = 0;
            report.kept_end = 0;
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

    /// Discards every page.
    fn discard_all(&mut self) -> Result<ResetReport, OsError> {
        self.discard(0..self.touched())?;
        self.free_tables_now_and_then();
        self.discarded()
    }

    /// Frees the page tables of a large slot whose pages were all discarded, every
    /// sixteenth time: nobody has counted them. They may stay where the system has no room
    /// for that.
    pub(crate) fn free_tables_now_and_then(&mut self) {
        let end = self.touched().max(self.opened);
        if end < MANY_TABLES * sys::table_bytes() || !self.ageing.frees_tables() {
            return;
        }
        if self
            .map_again(0..self.reach.min(self.memory.open()))
            .is_ok()
        {
            self.free_closed_tables();
        }
    }

    /// Refuses to go on where a call has failed and left a part without access.
    fn expect_open(&self) -> Result<(), OsError> {
        match self.reach <= self.memory.open() {
            true => Ok(()),
            false => Err(sys::NOT_TRUSTED),
        }
    }

    /// Takes note that every page of the slot was discarded.
    pub(crate) fn discarded(&mut self) -> Result<ResetReport, OsError> {
        let mut report = Tally::default();
        self.copy_again_within_budget(0..self.touched(), &mut report)?;
        self.kept_end = report.kept_end;
        Ok(self.report(&report, Strategy::Drop))
    }

    /// Copies what is not mapped of the image to where its pages were discarded. An image
    /// with more of that than may stay resident is given up instead: the next start copies
    /// it.
    fn copy_again_within_budget(
        &mut self,
        range: Range<usize>,
        report: &mut Tally,
    ) -> Result<(), OsError> {
        let copied = self.copied_bytes();
        if copied == 0 {
            return Ok(());
        }
        if self.keep_resident - report.kept < copied {
            self.hold(None, 0)?;
            return Ok(());
        }
        self.expect_open()?;
        self.copy_again(range.clone());
        let image = self.image.clone();
        let placement = image.as_ref().map(|image| self.placement(image));
        let runs = placement.map_or(&[][..], |it| it.copied_in(&range));
        for pages in pages_of(runs, page_bytes()) {
            report.keep(&pages);
        }
        Ok(())
    }

    /// Replaces everything by fresh memory without access.
    pub(crate) fn remap(&mut self) -> Result<ResetReport, OsError> {
        // A table is freed only as a whole.
        let end = self.tables.end_of(self.touched().max(self.opened));
        self.memory.renew(0..end)?;
        self.image = None;
        self.reach = 0;
        self.kept_end = 0;
        self.opened = 0;
        self.tables.all_freed();
        self.ageing.nothing_resident();
        Ok(self.report(&Tally::default(), Strategy::Remap))
    }

    /// The same for a slot that is ready; poisons it where that fails half-way. Where the
    /// system has no room for it, the slot stays as it is.
    #[cfg(feature = "std")]
    pub(crate) fn wipe(&mut self) {
        if self.remap().is_err() && self.memory.is_lost() {
            self.poison();
        }
    }

    fn report(&self, tally: &Tally, by: Strategy) -> ResetReport {
        let bytes = |n| u64::try_from(n).unwrap_or(u64::MAX);
        ResetReport {
            by,
            written_bytes: bytes(tally.written),
            n_ranges: tally.n_ranges,
            resident_bytes: bytes(tally.kept),
            page_table_bytes: self.table_bytes(),
        }
    }

    /// Writes every byte that is not as it was.
    fn copy_all(&mut self) -> ResetReport {
        self.restore(0..self.reach);
        self.kept_end = self.kept_end.max(self.reach);
        let mut report = Tally::default();
        report.keep(&(0..self.kept_end));
        self.report(&report, Strategy::Copy)
    }
}

/// Counts while a reset runs.
#[derive(Debug, Default)]
struct Tally {
    written: usize,
    n_ranges: u64,
    kept: usize,
    kept_end: usize,
    read: usize,
}

impl Tally {
    fn keep(&mut self, range: &Range<usize>) {
        self.kept += range.len();
        self.kept_end = self.kept_end.max(range.end);
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::ScanAndCopy => "scan and copy",
            Self::Drop => "drop",
            Self::Remap => "remap",
            Self::Copy => "copy",
        })
    }
}
