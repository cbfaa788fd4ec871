//! Strategies that treat all pages of a slot alike: they are discarded, mapped again, or
//! compared and written.

use core::ops::Range;

use super::super::memory_slot::MemorySlot;
use super::super::strategy::{ResetReport, Strategy};
use crate::image::placement::pages_of;
use crate::os::OsError;
use crate::sys::{self, page_bytes};

/// The number of page tables from which fresh mappings are worth their system calls.
pub(super) const MANY_TABLES: usize = 8;

impl MemorySlot {
    /// Discards every page.
    pub(super) fn discard_all(&mut self) -> Result<ResetReport, OsError> {
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
            self.free_closed_tables(0);
        }
    }

    /// Fails if an earlier call failed and left a part without access.
    pub(super) fn expect_open(&self) -> Result<(), OsError> {
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
        Ok(self.report(&report, Strategy::Discard))
    }

    /// Copies the unmapped part of the image to where its pages were discarded. If that
    /// part is larger than may stay resident, the slot drops the image instead: the next
    /// start copies it.
    pub(super) fn copy_again_within_budget(
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

    pub(super) fn report(&self, tally: &Tally, by: Strategy) -> ResetReport {
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
    pub(super) fn copy_all(&mut self) -> ResetReport {
        self.restore(0..self.reach);
        // Reading a page takes a table, too.
        self.tables.note(&(0..self.reach), true);
        self.kept_end = self.kept_end.max(self.reach);
        let mut report = Tally::default();
        report.keep(&(0..self.kept_end));
        self.report(&report, Strategy::Copy)
    }

    /// Frees all pages of a ready slot and the page tables that are its own, as far as the system
    /// has room for the mappings that this takes. The slot keeps its image.
    #[cfg(feature = "std")]
    pub(crate) fn free_own_tables(&mut self) {
        let all = 0..self.touched();
        let has_copies = self.copied_bytes() != 0;
        if self.table_bytes() == 0 || all.end < sys::table_bytes() || has_copies {
            return;
        }
        // Closed pages cannot be remapped on their own.
        if self.memory.open() < all.end {
            return;
        }
        if self.map_again(all).is_err() {
            if self.memory.is_lost() {
                self.poison();
            }
            return;
        }
        self.free_closed_tables(0);
        self.kept_end = 0;
        self.ageing.nothing_resident();
    }
}

/// Counts kept during a reset.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) written: usize,
    pub(super) n_ranges: u64,
    pub(super) kept: usize,
    pub(super) kept_end: usize,
    /// The part of `kept` that is past the memory's end.
    pub(super) closed: usize,
    pub(super) read: usize,
}

impl Tally {
    pub(super) fn keep(&mut self, range: &Range<usize>) {
        if !range.is_empty() {
            self.kept += range.len();
            self.kept_end = self.kept_end.max(range.end);
        }
    }
}
