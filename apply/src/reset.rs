//! Resets a slot to its initial contents, so that nothing of the last use remains.
//!
//! | strategy      | costs                                  | wins                         |
//! |---------------|----------------------------------------|------------------------------|
//! | scan and copy | a scan, and a copy of each page written | almost always: the next use finds its pages in place |
//! | drop          | one call, then a fault for each page that the next use touches | where memory matters more than time, or without page maps |
//! | remap         | like drop, and the image is mapped again | where pages cannot be discarded |
//! | copy          | every byte of the memory is compared   | small memories without mappings; where everything else fails |
//!
//! Measurements, from no page to all of them: docs/reset-cost.md in the repository.

use core::fmt;
use core::ops::Range;

use crate::ageing::Stale;
use crate::error::SlotError;
use crate::os::OsError;
use crate::placement::pages_of;
use crate::slot::{MemorySlot, State};
use crate::sys::{self, PageKind, Pages, ScanFor, Written, page_bytes};

/// The minimum number of pages that one scan looks for: pages of zeros are counted too,
/// although they use no memory.
const SCAN_PAGES: usize = 512;

/// A scan spends as long on a page table as on this many pages: about a microsecond.
const TABLE_PAGES: usize = 100;

/// The number of page tables from which fresh mappings are worth their system calls.
const MANY_TABLES: usize = 8;

/// The maximum number of ranges whose page tables are freed one by one.
const IDLE_RANGES: usize = 16;

/// How a [`MemorySlot`] removes what a use has written.
///
/// All strategies have the same effect. Where the system refuses one, the next of *scan
/// and copy*, *drop*, *remap*, *copy* takes over. A system call that was tried in this
/// process and found to have no effect is not used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Chooses by the system and the last uses: scan and copy if written pages can be
    /// found and may stay resident; otherwise drop; otherwise remap; without mappings,
    /// copy.
    #[default]
    Auto,
    /// Finds the pages that were written and copies their initial contents over them, up
    /// to the residency budget; discards the rest (Linux 6.7).
    ScanAndCopy,
    /// Discards all pages in one call (Linux).
    Drop,
    /// Replaces the mappings; the next start maps the image again.
    Remap,
    /// Compares every byte of the memory and writes those that differ; needs nothing from
    /// the system.
    Copy,
}

impl Strategy {
    /// Returns the strategy of this system when written pages are not searched for; never
    /// [`Auto`](Self::Auto).
    pub(crate) fn without_scans() -> Self {
        if !sys::HAS_MAPPINGS {
            Self::Copy
        } else if sys::discard_support().is_yes() {
            Self::Drop
        } else {
            Self::Remap
        }
    }
}

/// What one [`reset`](MemorySlot::reset) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResetReport {
    /// The strategy that completed the reset; never [`Strategy::Auto`].
    pub by: Strategy,
    /// Size in bytes of the pages found written, as far as they were searched.
    pub written_bytes: u64,
    /// The number of ranges they form.
    pub n_ranges: u64,
    /// Size in bytes of the slot's own pages that stay resident for the next use.
    pub resident_bytes: u64,
    /// Size in bytes of the slot's page tables, as far as scans have found them: a page
    /// that was only read leaves one, too.
    pub page_table_bytes: u64,
}

impl MemorySlot {
    /// Ends the use and resets the slot to its initial contents.
    ///
    /// The next use can see nothing of this one.
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`]; [`SlotError::Poisoned`], also if this call poisoned the
    /// slot.
    pub fn reset(&mut self) -> Result<ResetReport, SlotError> {
        self.reset_by(self.choose())
    }

    /// Does the same, beginning with a given strategy.
    pub(crate) fn reset_by(&mut self, mut by: Strategy) -> Result<ResetReport, SlotError> {
        self.expect_in_use()?;
        let report = loop {
            // A call that failed and could not be undone left a part without access.
            if self.memory.open() < self.reach && by != Strategy::Remap {
                let _ = self.open_to(self.reach);
                if self.memory.open() < self.reach && by == Strategy::Copy {
                    return Err(self.poison());
                }
            }
            // A strategy that failed leaves some pages restored and others not; the next
            // one works from any such state.
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

    /// Returns the strategy that a reset would begin with now; never [`Strategy::Auto`].
    pub(crate) fn choose(&self) -> Strategy {
        let wanted = match self.strategy {
            Strategy::Auto
                if self.ageing.is_persistently_over_budget() || self.keep_resident == 0 =>
            {
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

    /// Returns the strategy to use when written pages are not searched for. A copy keeps
    /// the whole memory resident.
    fn without_scans(&self) -> Strategy {
        match Strategy::without_scans() {
            Strategy::Copy if self.keep_resident < self.touched() => Strategy::Drop,
            by => by,
        }
    }

    /// Copies the initial contents over pages that were written, up to the budget.
    fn scan_and_copy(&mut self) -> Result<ResetReport, OsError> {
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
        let is_round = self.ageing.is_due() && self.can_discard();
        let scan_for = match is_round {
            true => ScanFor::Present,
            false => ScanFor::Written,
        };
        let discards_read = is_round && self.ageing.discards_read();
        // On the stack, and created only where needed: it is large.
        let mut stale = is_round.then(Stale::new);
        let mut written = Written::new();
        let mut report = Tally::default();
        let end = self.touched();
        let mut at = 0;
        self.tables.begin();
        while at < end {
            // One more than may stay, to find out whether there are more.
            let max_pages = ((self.keep_resident - report.kept) / page + 1).max(SCAN_PAGES);
            at = self
                .memory
                .scan(scan_for, at..end, max_pages, &mut written)?;
            for pages in written.pages() {
                let Some(range) = self.written(&pages) else {
                    report.read += pages.range.len();
                    self.tables.note_read(&pages.range, !discards_read);
                    if let Some(stale) = stale.as_mut().filter(|_| discards_read) {
                        stale.push(pages.range, &mut self.memory)?;
                    }
                    continue;
                };
                // Nothing was accessible from `reach` on: such pages are unchanged.
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
        // Not earlier: if that fails, the next strategy must find everything that was
        // kept.
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

    /// Keeps as much of a range as the budget allows, and discards everything after it.
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
        // The tables of the rest were not tracked: fresh mappings free them.
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

    /// Restores the pages that differ from their initial contents. The others were not
    /// written by this use and are discarded, except pages that hold a copy of the image:
    /// they would have to be copied again.
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
    /// remain if the system has no room for the mappings that this takes.
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
            // One call instead of many: what was kept is gone too.
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
        self.free_tables_periodically();
        self.discarded()
    }

    /// Frees the page tables of a large slot whose pages were all discarded, every
    /// sixteenth time: they were not tracked. They remain if the system has no room for
    /// the mappings that this takes.
    pub(crate) fn free_tables_periodically(&mut self) {
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

    /// Fails if an earlier call failed and left a part without access.
    fn expect_open(&self) -> Result<(), OsError> {
        match self.reach <= self.memory.open() {
            true => Ok(()),
            false => Err(sys::NOT_TRUSTED),
        }
    }

    /// Records that every page of the slot was discarded.
    pub(crate) fn discarded(&mut self) -> Result<ResetReport, OsError> {
        let mut report = Tally::default();
        self.copy_again_within_budget(0..self.touched(), &mut report)?;
        self.kept_end = report.kept_end;
        Ok(self.report(&report, Strategy::Drop))
    }

    /// Copies the unmapped part of the image to where its pages were discarded. If that
    /// part is larger than may stay resident, the slot drops the image instead: the next
    /// start copies it.
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

    /// Replaces everything with fresh memory without access.
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

    /// Does the same for a ready slot; poisons it if that fails half-way. If the system
    /// has no room for the mapping, the slot stays as it is.
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

    /// Writes every byte that differs from its initial contents.
    fn copy_all(&mut self) -> ResetReport {
        self.restore(0..self.reach);
        self.kept_end = self.kept_end.max(self.reach);
        let mut report = Tally::default();
        report.keep(&(0..self.kept_end));
        self.report(&report, Strategy::Copy)
    }
}

/// Counts kept during a reset.
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
