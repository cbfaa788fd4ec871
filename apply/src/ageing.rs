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
//! and nothing tells whether they are still in use. A round counts them, and the page
//! tables that are there for their sake only. Where they cost twice as much as the last
//! time that they were all discarded and came back, or some rounds later, they are
//! discarded again, and the next round sees which of them return. As long as the same ones
//! do, it comes to every third round: a use that reads much once makes later scans slow for
//! one round, and uses that always do, for three.

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

/// What was only read may always stay up to this: scans take about 2 µs longer for it.
const READ_SLACK: usize = 256 * 4096;

/// Rounds after which what was only read is discarded in any case, at most.
const READ_ROUNDS: u32 = 3;

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

/// Pages that uses have read and not written. What scans pay for them is given as so many
/// bytes of such pages; page tables count as pages.
#[derive(Clone, Copy, Debug, Default)]
struct ReadPages {
    /// What was last discarded.
    discarded: usize,
    /// What came back since then; not known before the next round.
    returned: Option<usize>,
    /// Rounds since then.
    n_rounds: u32,
    /// Rounds until they are discarded again, less one.
    patience: u32,
    /// What there was too much of, if there was: the next round discards it.
    excess: Option<usize>,
}

impl Ageing {
    /// Whether the coming reset is a round.
    pub(crate) const fn is_due(&self) -> bool {
        let bound = self
            .after_round
            .saturating_mul(GROWTH)
            .saturating_add(SLACK);
        ROUND <= self.n_resets + 1 || bound < self.resident || self.discards_read()
    }

    /// Whether the coming round discards what was only read.
    pub(crate) const fn discards_read(&self) -> bool {
        self.read.excess.is_some()
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

    /// Takes note of a round that left so many bytes resident, and of what later scans
    /// would pay for pages that were only read, had it not discarded them.
    pub(crate) fn after_round(&mut self, resident: usize, read: usize) {
        self.after_round = resident;
        self.n_resets = 0;
        let pages = &mut self.read;
        if let Some(discarded) = pages.excess.take() {
            pages.discarded = discarded;
            pages.returned = None;
            pages.n_rounds = 0;
            return;
        }
        let returned = match pages.returned {
            Some(returned) => returned,
            None => {
                let discarded = pages.discarded;
                let are_same = READ_SLACK < read
                    && discarded / READ_GROWTH <= read
                    && read <= discarded.saturating_mul(READ_GROWTH);
                pages.patience = match are_same {
                    true => (2 * pages.patience + 1).min(READ_ROUNDS - 1),
                    false => 0,
                };
                pages.returned = Some(read);
                read
            }
        };
        let is_late = pages.patience <= pages.n_rounds;
        pages.n_rounds = pages.n_rounds.saturating_add(1);
        if READ_SLACK < read && (is_late || returned.saturating_mul(READ_GROWTH) < read) {
            pages.excess = Some(read);
        }
    }

    /// Takes note of what pages that were only read cost, found by the way.
    pub(crate) const fn found_read(&mut self, read: usize) {
        let pages = &mut self.read;
        let expected = match pages.returned {
            Some(returned) => returned,
            None => pages.discarded,
        };
        let bound = expected.saturating_mul(READ_GROWTH);
        if 4 * READ_SLACK + bound < read {
            pages.excess = Some(read);
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
