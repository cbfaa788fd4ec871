//! From "used" back to "first state", with nothing left over.
//!
//! | strategy      | costs                                  | wins                         |
//! |---------------|----------------------------------------|------------------------------|
//! | scan and copy | a scan, and a copy of each page written | nearly always: the next use finds its pages in place |
//! | drop          | one call, then a fault for each page that the next use touches | where memory counts more than time, or without page maps |
//! | remap         | as drop, and the image is mapped again | where pages cannot be dropped |
//! | copy          | every byte of the memory               | small memories without mappings |
//!
//! Measured, from no page to all of them: docs/reset-cost.md of the repository.

use core::fmt;
use core::ops::Range;

use crate::ageing::Stale;
use crate::error::{OsError, SlotError};
use crate::slot::{MemorySlot, State};
use crate::sys::{self, Pages, Written, host_page_size};

/// Pages that one scan looks for, at least: pages of zeros count, and take no room.
const SCAN_PAGES: usize = 512;

/// How a [`MemorySlot`] gets rid of what a use has written.
///
/// Each has the same effect. Where the system refuses one, the next of *scan and copy*,
/// *drop*, *remap* takes over; where it refuses all, the slot is poisoned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// What suits the system and the last uses. Scan and copy, where pages that were
    /// written can be found and may stay resident; otherwise drop; otherwise remap;
    /// without mappings, copy.
    #[default]
    Auto,
    /// Finds the pages that were written and writes their first state over them, up to
    /// the residency budget; drops the rest (Linux 6.7).
    ScanAndCopy,
    /// Lets all pages go in one call (Linux).
    Drop,
    /// Replaces the mappings; the next start maps the image again.
    Remap,
    /// Writes every byte of the memory; asks nothing of the system.
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
}

impl MemorySlot {
    /// Ends the use: the next one finds nothing of it, and the slot is ready.
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`]; [`SlotError::Poisoned`], also where it became so now.
    pub fn reset(&mut self) -> Result<ResetReport, SlotError> {
        self.expect_in_use()?;
        let strategy = self.choose();
        let first = match strategy {
            // Not all is known to be accessible: only fresh mappings help.
            _ if self.memory.open() < self.reach => None,
            Strategy::ScanAndCopy => self.scan_and_copy().ok(),
            Strategy::Drop => self.drop_all().ok(),
            Strategy::Copy => Some(self.copy_all()),
            Strategy::Remap | Strategy::Auto => None,
        };
        // A scan that failed half-way leaves pages of either kind; dropping all is
        // right whatever there is.
        let second = match strategy {
            Strategy::ScanAndCopy if first.is_none() => self.drop_all().ok(),
            _ => first,
        };
        let report = match second {
            Some(report) => report,
            None => self.remap()?,
        };
        self.state = State::Ready;
        self.ageing.after_reset(&report);
        Ok(report)
    }

    /// What a reset would begin with now; never [`Strategy::Auto`].
    pub(crate) fn choose(&self) -> Strategy {
        match self.strategy {
            Strategy::Auto if self.ageing.is_hopeless() || self.keep_resident == 0 => {
                self.without_scans()
            }
            Strategy::Auto if sys::scan_support().is_yes() => Strategy::ScanAndCopy,
            Strategy::Auto => self.without_scans(),
            forced => forced,
        }
    }

    /// What suits the system where written pages are not looked for. A copy keeps all of
    /// the memory resident.
    fn without_scans(&self) -> Strategy {
        match sys::DEFAULT_STRATEGY {
            Strategy::Copy if self.keep_resident < self.reach => Strategy::Drop,
            by => by,
        }
    }

    /// Writes the first state over pages that were written, up to the budget.
    fn scan_and_copy(&mut self) -> Result<ResetReport, OsError> {
        let page = page_bytes();
        let ageing = self.ageing.is_due();
        let mut stale = Stale::new();
        let mut written = Written::new();
        let mut report = Tally::default();
        let mut at = 0;
        while at < self.reach {
            // One more than may stay, to see whether there is more.
            let max_pages = ((self.keep_resident - report.kept) / page + 1).max(SCAN_PAGES);
            at = self.memory.scan(at..self.reach, max_pages, &mut written)?;
            for pages in written.pages() {
                let Some(range) = self.written(pages) else {
                    continue;
                };
                report.n_ranges += 1;
                report.written += range.len();
                let room = self.keep_resident - report.kept;
                if room < range.len() {
                    let keep = range.start..range.start + room / page * page;
                    self.restore(keep.clone());
                    report.keep(&keep);
                    stale.let_go(&mut self.memory)?;
                    self.let_go(keep.end..self.reach)?;
                    self.kept_end = report.kept_end;
                    return Ok(report.over_budget());
                }
                if ageing {
                    self.restore_or_age(range, &mut stale, &mut report)?;
                } else {
                    self.restore(range.clone());
                    report.keep(&range);
                }
            }
        }
        stale.let_go(&mut self.memory)?;
        self.kept_end = report.kept_end;
        if ageing {
            self.ageing.after_round(report.kept);
        }
        Ok(report.finish(Strategy::ScanAndCopy))
    }

    /// What of these pages may differ from its first state. Pages of zeros do only
    /// within the image, and hardly ever: see `sys/pagemap.rs`.
    pub(crate) fn written(&self, pages: Pages) -> Option<Range<usize>> {
        let Pages { range, are_zero } = pages;
        if !are_zero {
            return Some(range);
        }
        let image = self.image.as_ref()?;
        let range = range.start..range.end.min(image.mapped_len());
        (!range.is_empty() && !image.is_zero_in(range.clone())).then_some(range)
    }

    /// Restores the pages that differ from their first state; the others were not
    /// written by this use, and go. Pages of an image that is not mapped stay: they
    /// would have to be copied again.
    fn restore_or_age(
        &mut self,
        range: Range<usize>,
        stale: &mut Stale,
        report: &mut Tally,
    ) -> Result<(), OsError> {
        let page = page_bytes();
        let copied = range.start..range.end.min(self.copied_len());
        if !copied.is_empty() {
            self.restore(copied.clone());
            report.keep(&copied);
        }
        for start in (range.start.max(copied.end)..range.end).step_by(page) {
            let addresses = start..start + page;
            if self.is_first_state(addresses.clone()) {
                stale.push(addresses, &mut self.memory)?;
            } else {
                self.restore(addresses.clone());
                report.keep(&addresses);
            }
        }
        Ok(())
    }

    /// Lets every page go.
    fn drop_all(&mut self) -> Result<ResetReport, OsError> {
        self.let_go(0..self.reach)?;
        Ok(self.dropped())
    }

    /// Takes note that every page of the slot was let go.
    pub(crate) fn dropped(&mut self) -> ResetReport {
        self.restore_what_is_not_mapped(0..self.reach);
        self.kept_end = 0;
        self.resident_report(Strategy::Drop)
    }

    /// Replaces everything by fresh memory without access.
    fn remap(&mut self) -> Result<ResetReport, SlotError> {
        self.wipe();
        match self.state {
            State::Poisoned => Err(SlotError::Poisoned),
            _ => Ok(Tally::default().finish(Strategy::Remap)),
        }
    }

    /// Writes every byte.
    fn copy_all(&mut self) -> ResetReport {
        self.restore(0..self.reach);
        self.kept_end = self.reach;
        let mut report = Tally::default();
        report.keep(&(0..self.reach));
        report.finish(Strategy::Copy)
    }

    fn let_go(&mut self, range: Range<usize>) -> Result<(), OsError> {
        self.memory.discard(range.clone())?;
        self.restore_what_is_not_mapped(range);
        Ok(())
    }

    /// Behind a page that was let go is the image, if it is mapped; otherwise zeros.
    fn restore_what_is_not_mapped(&mut self, range: Range<usize>) {
        if let Some(image) = self.image.as_ref().filter(|image| image.is_copied()) {
            image.copy_into_zeroed(range, self.memory.bytes_mut());
        }
    }

    /// How long the image is in bytes, if it was copied.
    fn copied_len(&self) -> usize {
        match &self.image {
            Some(image) if image.is_copied() => image.mapped_len(),
            _ => 0,
        }
    }

    fn restore(&mut self, range: Range<usize>) {
        let target = &mut self.memory.bytes_mut()[range.clone()];
        match &self.image {
            Some(image) => image.restore(range, target),
            None => target.fill(0),
        }
    }

    fn is_first_state(&self, range: Range<usize>) -> bool {
        let bytes = &self.memory.bytes()[range.clone()];
        match &self.image {
            Some(image) => image.is_first_state(range, bytes),
            None => crate::image::is_zero(bytes),
        }
    }

    /// What is resident after everything was let go: a heap image that was copied.
    fn resident_report(&self, by: Strategy) -> ResetReport {
        let mut report = Tally::default();
        if let Some(image) = self.image.as_ref().filter(|image| image.is_copied()) {
            report.keep(&(0..image.mapped_len()));
        }
        report.finish(by)
    }
}

/// Counts while a reset runs.
#[derive(Debug, Default)]
struct Tally {
    written: usize,
    n_ranges: u64,
    kept: usize,
    kept_end: usize,
}

impl Tally {
    fn keep(&mut self, range: &Range<usize>) {
        self.kept += range.len();
        self.kept_end = self.kept_end.max(range.end);
    }

    fn over_budget(self) -> ResetReport {
        self.finish(Strategy::ScanAndCopy)
    }

    fn finish(self, by: Strategy) -> ResetReport {
        let bytes = |n| u64::try_from(n).unwrap_or(u64::MAX);
        ResetReport {
            by,
            written_bytes: bytes(self.written),
            n_ranges: self.n_ranges,
            resident_bytes: bytes(self.kept),
        }
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

fn page_bytes() -> usize {
    // Never truncates: a page fits memory.
    usize::try_from(host_page_size().bytes()).unwrap_or(usize::MAX)
}
