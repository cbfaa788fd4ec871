//! Decides which resident pages to keep, so that resets do not become slower over time.
//!
//! A page that was written once stays resident and counts as written from then on: each
//! reset copies it again. Discarding it costs a fault (about 1.2 µs) if the next use
//! needs it after all; keeping one that is no longer needed costs a copy (about 0.1 µs)
//! at each reset.
//!
//! So every sixteenth reset is a *round*, and one comes earlier when residency is four
//! times what the last round left. A round compares before it copies. A page that already
//! has its initial contents was probably not written by this use, and is discarded. Every
//! page that was kept needlessly has cost about as much as the fault that it might have
//! saved.
//!
//! But a use may also write what is there already: many programs clear memory before they
//! use it. So the next reset looks for some of the pages that a round discarded. If most of
//! them are back, the next round keeps such pages, or the next two, if that happens again:
//! what stays was then written by one of the last 48 uses.
//!
//! Pages that were only *read* cost time too: a scan walks their entries (about 10 ns
//! each), and nothing shows whether they are still in use. A round counts them, along
//! with the page tables that exist only for them. All of them are discarded again when
//! they cost twice as much as what came back after the last time, or after some rounds;
//! the next round sees which of them return. As long as the same ones return, this
//! happens only every third round. A use that reads much once makes later scans slow for
//! one round; uses that always do, for three.

use core::ops::Range;

use super::strategy::{ResetReport, Strategy};

/// The most resets between two rounds: a fault costs as much as this many copies.
pub(crate) const ROUND: u32 = 16;

/// The growth factor since the last round that makes the next one due. A smaller one
/// would discard pages that a use happens to pick from a larger set: they would come
/// back, with a fault.
const GROWTH: usize = 4;

/// Growth up to this many bytes is ignored.
const SLACK: usize = 64 * 4096;

/// The maximum number of discarded pages that the next reset looks for.
const SAMPLES: usize = 8;

/// The most rounds before pages with their initial contents are discarded in any case.
const UNCHANGED_ROUNDS: u32 = 3;

/// Consecutive resets over the budget before the strategy changes.
const MAX_OVER_BUDGET: u32 = 4;

/// The growth factor of pages that were only read at which all of them are discarded.
const READ_GROWTH: usize = 2;

/// Pages that were only read may always stay up to this many bytes: scans take about 2 µs
/// longer for them.
const READ_SLACK: usize = 256 * 4096;

/// The most rounds before pages that were only read are discarded in any case.
const READ_ROUNDS: u32 = 3;

/// The history of a slot's last uses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ageing {
    /// Resident after the last reset, in bytes.
    resident: usize,
    /// Resident after the last round, in bytes.
    after_round: usize,
    /// Resets since the last round, including it.
    n_resets: u32,
    unchanged: Unchanged,
    /// Consecutive resets that found more than may stay resident.
    n_over: u32,
    /// Complete discards since page tables were last freed.
    n_discards: u32,
    read: ReadPages,
}

/// Resident pages that had their initial contents when a round looked at them.
#[derive(Clone, Copy, Debug, Default)]
struct Unchanged {
    /// How many bytes of them the last round discarded.
    discarded: usize,
    /// Where some of those are, in bytes: every so many pages, evenly spread.
    samples: [usize; SAMPLES],
    n_samples: usize,
    every: usize,
    /// How many of the samples the next use has written.
    n_returned: usize,
    /// Rounds since some were discarded.
    n_rounds: u32,
    /// Rounds until they are discarded again, minus one.
    n_rounds_to_wait: u32,
}

/// Pages that uses have read and not written. What scans pay for them is expressed as
/// bytes of such pages; page tables count as pages.
#[derive(Clone, Copy, Debug, Default)]
struct ReadPages {
    /// How much was last discarded.
    discarded: usize,
    /// How much came back since then; unknown until the next round.
    returned: Option<usize>,
    /// Rounds since then.
    n_rounds: u32,
    /// Rounds until they are discarded again, minus one.
    n_rounds_to_wait: u32,
    /// The amount that was too much, if any: the next round discards it.
    excess: Option<usize>,
}

impl Ageing {
    /// Returns whether the next reset is a round.
    pub(crate) const fn is_due(&self) -> bool {
        ROUND <= self.n_resets || self.has_grown() || self.discards_read()
    }

    /// Returns whether residency has grown much since the last round.
    const fn has_grown(&self) -> bool {
        self.has_grown_to(self.resident)
    }

    const fn has_grown_to(&self, resident: usize) -> bool {
        let bound = self
            .after_round
            .saturating_mul(GROWTH)
            .saturating_add(SLACK);
        bound < resident
    }

    /// Returns whether the next round discards pages that were only read.
    pub(crate) const fn discards_read(&self) -> bool {
        self.read.excess.is_some()
    }

    /// Returns whether the next round discards pages that have their initial contents.
    pub(crate) const fn discards_unchanged(&self) -> bool {
        self.unchanged.n_rounds_to_wait <= self.unchanged.n_rounds || self.has_grown()
    }

    /// Returns whether uses write so far over budget that keeping pages does not pay.
    /// From time to time a reset checks again.
    pub(crate) const fn is_persistently_over_budget(&self) -> bool {
        MAX_OVER_BUDGET <= self.n_over && !(self.n_over - MAX_OVER_BUDGET + 1).is_multiple_of(ROUND)
    }

    /// Returns whether the next complete discard frees page tables too, and counts it.
    pub(crate) const fn frees_tables(&mut self) -> bool {
        self.n_discards = (self.n_discards + 1) % ROUND;
        self.n_discards == 0
    }

    /// Returns how many bytes were resident after the last reset.
    pub(crate) const fn resident(&self) -> usize {
        self.resident
    }

    /// Records that no page is resident any more.
    pub(crate) const fn nothing_resident(&mut self) {
        self.resident = 0;
    }

    /// Records that a round begins.
    pub(crate) const fn begin_round(&mut self) {
        let pages = &mut self.unchanged;
        pages.discarded = 0;
        (pages.n_samples, pages.every, pages.n_returned) = (0, 1, 0);
    }

    /// Records that a round discards a page that has its initial contents.
    pub(crate) const fn note_discarded(&mut self, page: &Range<usize>) {
        let pages = &mut self.unchanged;
        let size = page.end - page.start;
        if (pages.discarded / size).is_multiple_of(pages.every) {
            if pages.n_samples == SAMPLES {
                // Every other one stays.
                let mut nth = 1;
                while nth < SAMPLES / 2 {
                    pages.samples[nth] = pages.samples[2 * nth];
                    nth += 1;
                }
                pages.n_samples = SAMPLES / 2;
                pages.every *= 2;
            }
            pages.samples[pages.n_samples] = page.start;
            pages.n_samples += 1;
        }
        pages.discarded += size;
    }

    /// Returns the size in bytes of the pages that this round has discarded so far, since they
    /// have their initial contents.
    pub(crate) const fn discarded(&self) -> usize {
        self.unchanged.discarded
    }

    /// Records that a reset found these pages written.
    pub(crate) fn note_written(&mut self, pages: &Range<usize>) {
        if self.n_resets == 1 {
            let unchanged = &mut self.unchanged;
            let samples = unchanged.samples[..unchanged.n_samples].iter();
            unchanged.n_returned += samples.filter(|at| pages.contains(at)).count();
        }
    }

    /// Records a round that left `resident` bytes, and what later scans would have paid
    /// for pages that were only read, had it not discarded them.
    pub(crate) fn after_round(&mut self, resident: usize, read: usize) {
        if self.discards_unchanged() {
            self.unchanged.n_rounds = 0;
            if self.unchanged.discarded == 0 {
                self.unchanged.n_rounds_to_wait = 0;
            }
        } else {
            self.unchanged.n_rounds += 1;
        }
        // This use wrote much more than others: the next round discards that.
        if self.has_grown_to(resident) {
            self.unchanged.n_rounds_to_wait = 0;
            self.unchanged.n_samples = 0;
        }
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
                let same_returned = READ_SLACK < read
                    && discarded / READ_GROWTH <= read
                    && read <= discarded.saturating_mul(READ_GROWTH);
                pages.n_rounds_to_wait = match same_returned {
                    true => (2 * pages.n_rounds_to_wait + 1).min(READ_ROUNDS - 1),
                    false => 0,
                };
                pages.returned = Some(read);
                read
            }
        };
        let is_overdue = pages.n_rounds_to_wait <= pages.n_rounds;
        pages.n_rounds = pages.n_rounds.saturating_add(1);
        if READ_SLACK < read && (is_overdue || returned.saturating_mul(READ_GROWTH) < read) {
            pages.excess = Some(read);
        }
    }

    /// Records the cost of pages that were only read, as found by a reset that was no
    /// round.
    pub(crate) const fn found_read(&mut self, read: usize) {
        let pages = &mut self.read;
        let expected = match pages.returned {
            Some(returned) => returned,
            None => pages.discarded,
        };
        let bound = expected.saturating_mul(READ_GROWTH);
        if bound.saturating_add(4 * READ_SLACK) < read {
            pages.excess = Some(read);
        }
    }

    pub(crate) fn after_reset(&mut self, report: &ResetReport) {
        let bytes = |n| usize::try_from(n).unwrap_or(usize::MAX);
        self.resident = bytes(report.resident_bytes);
        let scanned = report.by == Strategy::ScanAndCopy;
        if self.n_resets == 1 && scanned {
            self.after_first_use();
        }
        // What a round has discarded would have had room.
        let had_room = match self.n_resets {
            0 => self.resident.saturating_add(self.unchanged.discarded),
            _ => self.resident,
        };
        self.n_resets = self.n_resets.saturating_add(1);
        let over = had_room < bytes(report.written_bytes) / 8;
        if scanned && !over {
            self.n_over = 0;
        } else if over || MAX_OVER_BUDGET <= self.n_over {
            self.n_over = self.n_over.saturating_add(1);
        }
    }

    /// Decides, after the first use since a round, whether that discarded too much.
    const fn after_first_use(&mut self) {
        let pages = &mut self.unchanged;
        if pages.n_samples == 0 {
            return;
        }
        if pages.n_returned * 4 < pages.n_samples * 3 {
            pages.n_rounds_to_wait = 0;
            return;
        }
        if pages.n_rounds_to_wait + 1 < UNCHANGED_ROUNDS {
            pages.n_rounds_to_wait += 1;
        }
        // This is no growth.
        let returned = pages.discarded / pages.n_samples * pages.n_returned;
        self.after_round = self.after_round.saturating_add(returned);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn report(by: Strategy, written: usize, resident: usize) -> ResetReport {
        let bytes = |n| u64::try_from(n).expect("64 bits");
        ResetReport {
            by,
            written_bytes: bytes(written),
            n_ranges: 1,
            resident_bytes: bytes(resident),
            page_table_bytes: 0,
        }
    }

    /// Returns what a slot is like after a round and this many resets that scan, including it.
    fn after(round: usize, n_resets: usize, resident: usize) -> Ageing {
        let mut ageing = Ageing::default();
        ageing.after_round(round, 0);
        for _ in 0..n_resets {
            ageing.after_reset(&report(Strategy::ScanAndCopy, resident, resident));
        }
        ageing
    }

    #[test]
    fn a_round_comes_every_sixteenth_reset_or_after_growth() {
        assert!(!after(4096, 15, 4096).is_due());
        assert!(after(4096, 16, 4096).is_due());
        assert!(after(0, 16, 0).is_due());
        let most = GROWTH * 4096 + SLACK;
        assert!(!after(4096, 1, most).is_due());
        assert!(after(4096, 1, most + 1).is_due());
    }

    /// One reset in sixteen checks whether pages may be kept again.
    #[test]
    fn uses_that_write_too_much_are_rarely_scanned() {
        let n_scanned = |written: usize, resident: usize| {
            let mut ageing = Ageing::default();
            let mut scanned = Vec::new();
            for nth in 0..60 {
                let by = match ageing.is_persistently_over_budget() {
                    true => Strategy::Discard,
                    false => Strategy::ScanAndCopy,
                };
                if by == Strategy::ScanAndCopy {
                    scanned.push(nth);
                }
                ageing.after_reset(&report(by, written, resident));
            }
            scanned
        };
        assert_eq!(n_scanned(8 * 4096 + 8, 4096), [0, 1, 2, 3, 19, 35, 51]);
        assert_eq!(n_scanned(8 * 4096, 4096).len(), 60);
        assert_eq!(n_scanned(0, 0).len(), 60);
    }

    /// A scan that finds less ends it.
    #[test]
    fn uses_that_write_less_again_are_scanned() {
        let mut ageing = Ageing::default();
        for _ in 0..MAX_OVER_BUDGET {
            assert!(!ageing.is_persistently_over_budget());
            ageing.after_reset(&report(Strategy::ScanAndCopy, 1 << 20, 0));
        }
        assert!(ageing.is_persistently_over_budget());
        ageing.after_reset(&report(Strategy::Discard, 0, 0));
        assert!(ageing.is_persistently_over_budget(), "nothing was searched");
        ageing.after_reset(&report(Strategy::ScanAndCopy, 4096, 4096));
        assert!(!ageing.is_persistently_over_budget());
    }

    #[test]
    fn every_sixteenth_discard_frees_page_tables() {
        let mut ageing = Ageing::default();
        let frees: Vec<usize> = (1..=48).filter(|_| ageing.frees_tables()).collect();
        assert_eq!(frees, [16, 32, 48]);
    }

    /// Returns which rounds discard `n` pages with their initial contents, if the use after
    /// the `nth` round writes the first `returned(nth)` of them.
    fn discarding_unchanged(n: usize, returned: impl Fn(usize) -> usize) -> Vec<usize> {
        let mut ageing = Ageing::default();
        ageing.after_round(1 << 20, 0);
        let mut rounds = Vec::new();
        for nth in 0..12 {
            let mut left = (1 << 20) + returned(nth) * 4096;
            ageing.begin_round();
            if ageing.discards_unchanged() {
                left = 1 << 20;
                rounds.push(nth);
                (0..n).for_each(|page| ageing.note_discarded(&(page * 4096..(page + 1) * 4096)));
            }
            ageing.after_round(left, 0);
            ageing.after_reset(&report(Strategy::ScanAndCopy, left, left));
            ageing.note_written(&(0..returned(nth) * 4096));
            let next = (1 << 20) + returned(nth) * 4096;
            ageing.after_reset(&report(Strategy::ScanAndCopy, next, next));
        }
        rounds
    }

    #[test]
    fn pages_that_return_at_once_are_discarded_in_every_third_round() {
        let all: Vec<usize> = (0..12).collect();
        let rare = [0, 2, 5, 8, 11];
        assert_eq!(discarding_unchanged(1000, |_| 0), all);
        // Samples: pages 0, 128, 256, and so on.
        assert_eq!(discarding_unchanged(1000, |_| 640), all);
        assert_eq!(discarding_unchanged(1000, |_| 641), rare);
        assert_eq!(discarding_unchanged(1, |_| 1), rare);
        assert_eq!(discarding_unchanged(0, |_| 1), all);
        let ends = |nth| if nth < 5 { 1000 } else { 0 };
        assert_eq!(
            discarding_unchanged(1000, ends),
            [0, 2, 5, 6, 7, 8, 9, 10, 11]
        );
    }

    /// A reset that does not scan cannot see what returned.
    #[test]
    fn only_a_scan_judges_what_returned() {
        for (by, waits) in [(Strategy::ScanAndCopy, false), (Strategy::Discard, true)] {
            let mut ageing = Ageing::default();
            let round = |ageing: &mut Ageing| {
                ageing.begin_round();
                if ageing.discards_unchanged() {
                    ageing.note_discarded(&(0..4096));
                }
                ageing.after_round(0, 0);
                ageing.after_reset(&report(Strategy::ScanAndCopy, 0, 0));
            };
            for _ in 0..2 {
                round(&mut ageing);
                ageing.note_written(&(0..4096));
                ageing.after_reset(&report(Strategy::ScanAndCopy, 0, 0));
            }
            assert!(ageing.discards_unchanged());
            round(&mut ageing);
            ageing.after_reset(&report(by, 0, 0));
            assert_eq!(!ageing.discards_unchanged(), waits);
        }
    }

    /// What a round discarded and the next use needs is no growth.
    #[test]
    fn pages_that_return_at_once_bring_no_round() {
        for returns in [true, false] {
            let mut ageing = Ageing::default();
            ageing.begin_round();
            ageing.note_discarded(&(4096..4096 + SLACK));
            ageing.after_round(0, 0);
            ageing.after_reset(&report(Strategy::ScanAndCopy, 0, 0));
            let start = if returns { 4096 } else { 2 * 4096 };
            ageing.note_written(&(start..start + SLACK));
            ageing.after_reset(&report(Strategy::ScanAndCopy, SLACK + 1, SLACK + 1));
            assert_eq!(ageing.is_due(), !returns);
        }
    }

    /// Returns which rounds discard pages that were only read, if each finds this much.
    fn discarding(read: impl Fn(usize) -> usize) -> Vec<usize> {
        let mut ageing = Ageing::default();
        let mut rounds = Vec::new();
        for nth in 0..16 {
            if ageing.discards_read() {
                assert!(ageing.is_due(), "the next reset is a round");
                rounds.push(nth);
            }
            ageing.after_round(0, read(nth));
        }
        rounds
    }

    #[test]
    fn pages_that_are_only_read_are_discarded_after_some_rounds() {
        assert_eq!(discarding(|_| READ_SLACK), []);
        // The same pages return: twice as many rounds, and then three.
        assert_eq!(discarding(|_| READ_SLACK + 1), [1, 4, 8, 12]);
        // Others do each time.
        let other = |nth: usize| READ_SLACK * 5 * (1 + nth / 2 % 2 * 4);
        assert_eq!(discarding(other), [1, 3, 5, 7, 9, 11, 13, 15]);
    }

    #[test]
    fn many_more_pages_that_were_read_bring_a_round() {
        let mut ageing = Ageing::default();
        ageing.after_round(0, READ_SLACK);
        let most = 4 * READ_SLACK + READ_GROWTH * READ_SLACK;
        ageing.found_read(most);
        assert!(!ageing.is_due());
        ageing.found_read(most + 1);
        assert!(ageing.is_due());
        let mut full = Ageing::default();
        full.after_round(0, usize::MAX);
        full.found_read(usize::MAX);
    }
}
