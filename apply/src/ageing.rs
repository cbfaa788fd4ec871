//! Which resident pages are kept, so that a slot's resets do not cost more and more.
//!
//! A page that was written once stays resident and looks written ever after: each reset
//! copies it again. To discard it costs a fault (about 1.2 µs) if the next use needs it
//! after all; to keep one that nobody needs costs a copy (about 0.1 µs) at each reset.
//!
//! So every sixteenth reset is a *round*; and sooner, where residency is four times what
//! the last one left. A round compares before it copies. A page that has its initial
//! contents already was not written by this use: it is discarded. What stays resident was
//! written by one of the last sixteen uses, and every page that is kept for nothing has
//! cost about as much as the fault that it might have saved.
//!
//! Pages that were only *read* cost too: a scan walks their entries (about 10 ns each),
//! and nothing tells whether they are still in use. A round counts them. Where there are
//! twice as many as the last time that they were all discarded and came back, or a long
//! time later, they are discarded again, and the next round sees which of them return.

use core::ops::Range;

use crate::error::OsError;
use crate::reset::{ResetReport, Strategy};
use crate::sys::Reservation;

/// Resets from one round to the next, at most: a fault costs as much as this many copies.
pub(crate) const ROUND: u32 = 16;

/// Growth since the last round, as a factor, that makes the next one due. Less would
/// discard pages that a use takes by chance out of a larger set: they come back, with a
/// fault.
const GROWTH: usize = 4;

/// Growth that does not count, in bytes.
const SLACK: usize = 64 * 4096;

/// Resets over the budget, one after the other, until the strategy changes.
const HOPELESS: u32 = 4;

/// Growth of what was only read, as a factor, that has it all discarded.
const READ_GROWTH: usize = 2;

/// Rounds after which what was only read is discarded in any case.
const READ_ROUNDS: u32 = 16;

/// What the last uses of a slot showed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ageing {
    /// Resident after the last reset, in bytes.
    resident: usize,
    /// Resident after the last round, in bytes.
    after_round: usize,
    /// Resets since the last round.
    n_resets: u32,
    /// Resets in a row that found more than may stay resident.
    n_over: u32,
    /// Discards of everything since page tables were last freed.
    n_discards: u32,
    read: ReadPages,
}

/// Pages that uses have read and not written.
#[derive(Clone, Copy, Debug, Default)]
struct ReadPages {
    /// How many came back since they were last discarded, in bytes; not known before
    /// the next round.
    returned: Option<usize>,
    /// Rounds since then.
    n_rounds: u32,
    /// Whether the next round discards them.
    are_too_many: bool,
}

impl Ageing {
    /// Whether the coming reset is a round.
    pub(crate) const fn is_due(&self) -> bool {
        let bound = self
            .after_round
            .saturating_mul(GROWTH)
            .saturating_add(SLACK);
        ROUND <= self.n_resets + 1 || bound < self.resident || self.read.are_too_many
    }

    /// Whether the coming round discards what was only read.
    pub(crate) const fn discards_read(&self) -> bool {
        self.read.are_too_many
    }

    /// Whether uses write so much more than may stay that keeping a part does not pay.
    /// Now and then a reset looks again.
    pub(crate) const fn is_hopeless(&self) -> bool {
        HOPELESS <= self.n_over && !(self.n_over - HOPELESS + 1).is_multiple_of(ROUND)
    }

    /// Whether the coming discard of everything frees page tables too. Counts it.
    pub(crate) const fn frees_tables(&mut self) -> bool {
        self.n_discards = (self.n_discards + 1) % ROUND;
        self.n_discards == 0
    }

    /// Resident after the last reset, in bytes.
    #[cfg(feature = "std")]
    pub(crate) const fn resident(&self) -> usize {
        self.resident
    }

    /// Takes note that no page is resident any more.
    pub(crate) const fn nothing_resident(&mut self) {
        self.resident = 0;
    }

    /// Takes note of a round that left so many bytes resident, and found so many bytes
    /// of pages that were only read.
    pub(crate) fn after_round(&mut self, resident: usize, read: usize) {
        self.after_round = resident;
        self.n_resets = 0;
        let pages = &mut self.read;
        if pages.are_too_many {
            *pages = ReadPages::default();
            return;
        }
        pages.n_rounds += 1;
        let returned = *pages.returned.get_or_insert(read);
        let bound = returned.saturating_mul(READ_GROWTH).saturating_add(SLACK);
        let is_long_ago = READ_ROUNDS <= pages.n_rounds && SLACK < read;
        pages.are_too_many = bound < read || is_long_ago;
    }

    /// Takes note of pages that were only read, found by the way.
    pub(crate) const fn found_read(&mut self, read: usize) {
        let returned = match self.read.returned {
            Some(returned) => returned,
            None => 0,
        };
        let bound = returned
            .saturating_mul(READ_GROWTH)
            .saturating_add(16 * SLACK);
        if bound < read {
            self.read.are_too_many = true;
        }
    }

    pub(crate) fn after_reset(&mut self, report: &ResetReport) {
        self.resident = usize::try_from(report.resident_bytes).unwrap_or(usize::MAX);
        self.n_resets = self.n_resets.saturating_add(1);
        let over = report.resident_bytes < report.written_bytes / 8;
        if report.by == Strategy::ScanAndCopy && !over {
            self.n_over = 0;
        } else if over || HOPELESS <= self.n_over {
            self.n_over = self.n_over.saturating_add(1);
        }
    }
}

/// Ranges that a round discards: many in one call, where the system takes them.
#[derive(Debug)]
pub(crate) struct Stale {
    ranges: [Range<usize>; BATCH],
    len: usize,
}

/// How many ranges wait for one call. They are on the stack: a reset allocates nothing.
const BATCH: usize = 256;

impl Stale {
    pub(crate) const fn new() -> Self {
        Self {
            ranges: [const { 0..0 }; BATCH],
            len: 0,
        }
    }

    /// Adds a range that follows those that were added before.
    pub(crate) fn push(
        &mut self,
        range: Range<usize>,
        memory: &mut Reservation,
    ) -> Result<(), OsError> {
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

    /// Discards all of them.
    pub(crate) fn discard(&mut self, memory: &mut Reservation) -> Result<(), OsError> {
        let done = match &self.ranges[..self.len] {
            [] => Ok(()),
            ranges => memory.discard_ranges(ranges),
        };
        self.len = 0;
        done
    }
}
