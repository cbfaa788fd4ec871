//! Tracks which page tables a slot may have.
//!
//! A page table outlives its pages: an access to a single byte leaves a table of 4 KiB,
//! which discarding the page does not free, and which every later scan walks (about a
//! microsecond each). No system call lists them, so each slot tracks them: a table may
//! exist where a scan has found a page since the table was last freed.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;

/// With more tables than this, several share an entry. A slot of 8 GiB has this many with
/// pages of 4 KiB.
const MAX_ENTRIES: usize = 4096;

/// A set of lowest-level page tables, by the addresses that they map.
#[derive(Debug)]
pub(crate) struct PageTables {
    /// One bit per entry: a page was found in these addresses.
    found: Vec<u64>,
    /// One bit per entry: a page stays there.
    kept: Vec<u64>,
    /// One bit per entry: a page that was only read stays there.
    read: Vec<u64>,
    /// Bytes that an entry covers, as a power of two. Resets divide by it often.
    span_log2: u32,
    /// Tables per entry, as a power of two.
    per_entry_log2: u32,
    /// Bytes that a table maps: a power of two.
    table: usize,
    /// Length of the slot, in bytes.
    len: usize,
    n_found: usize,
}

impl PageTables {
    /// Creates an empty set for a slot of `len` bytes, where a table maps `table` bytes.
    pub(crate) fn new(len: usize, table: usize) -> Result<Self, TryReserveError> {
        let per_entry = len.div_ceil(table).div_ceil(MAX_ENTRIES).max(1);
        let per_entry_log2 = per_entry.next_power_of_two().ilog2();
        let span_log2 = table.ilog2() + per_entry_log2;
        let n_words = ((len.max(1) - 1) >> span_log2) / 64 + 1;
        let words = || -> Result<Vec<u64>, TryReserveError> {
            let mut words = Vec::new();
            words.try_reserve_exact(n_words)?;
            words.resize(n_words, 0);
            Ok(words)
        };
        Ok(Self {
            found: words()?,
            kept: words()?,
            read: words()?,
            span_log2,
            per_entry_log2,
            table,
            len,
            n_found: 0,
        })
    }

    /// Returns the size in bytes of the tables that may exist. A slot smaller than the
    /// range of a table shares it with its neighbours and is charged for its share.
    pub(crate) const fn bytes(&self, page: usize) -> usize {
        if self.len < self.table {
            return self.n_found * self.len.div_ceil(self.table / page);
        }
        (self.n_found * page) << self.per_entry_log2
    }

    /// Returns the end of the tables that map the first `bytes` bytes; at most the slot's
    /// end.
    pub(crate) fn end_of(&self, bytes: usize) -> usize {
        bytes
            .checked_next_multiple_of(self.table)
            .map_or(self.len, |end| end.min(self.len))
    }

    /// Begins a new scan of the slot: which pages stay is not known yet.
    pub(crate) fn begin(&mut self) {
        if self.n_found != 0 {
            self.kept.fill(0);
            self.read.fill(0);
        }
    }

    /// Returns the number of entries in which only pages that were read stay.
    pub(crate) fn n_read_only(&self) -> usize {
        let words = self.read.iter().zip(&self.kept);
        let bits = words.map(|(read, kept)| (read & !kept).count_ones());
        bits.map(|n| usize::try_from(n).unwrap_or(0)).sum()
    }

    /// Records that pages that were only read were found at these addresses, and whether
    /// they stay.
    pub(crate) fn note_read(&mut self, addresses: &Range<usize>, stays: bool) {
        self.note(addresses, false);
        if stays {
            for entry in self.entries(addresses) {
                self.read[entry / 64] |= 1 << (entry % 64);
            }
        }
    }

    /// Records that pages were found at these addresses, and whether they stay.
    pub(crate) fn note(&mut self, addresses: &Range<usize>, stays: bool) {
        for entry in self.entries(addresses) {
            let (word, bit) = (entry / 64, 1 << (entry % 64));
            self.n_found += usize::from(self.found[word] & bit == 0);
            self.found[word] |= bit;
            if stays {
                self.kept[word] |= bit;
            }
        }
    }

    /// Records that the tables of these addresses were freed, except those that also map
    /// other addresses.
    pub(crate) fn freed(&mut self, addresses: &Range<usize>) {
        let round_up = |addr: usize| (addr + ((1 << self.span_log2) - 1)) >> self.span_log2;
        let first = round_up(addresses.start);
        let end = match self.len <= addresses.end {
            true => round_up(self.len),
            false => addresses.end >> self.span_log2,
        };
        for entry in first..end {
            let (word, bit) = (entry / 64, 1 << (entry % 64));
            self.n_found -= usize::from(self.found[word] & bit != 0);
            self.found[word] &= !bit;
            self.kept[word] &= !bit;
            self.read[word] &= !bit;
        }
    }

    /// Records that all tables were freed.
    pub(crate) fn all_freed(&mut self) {
        if self.n_found != 0 {
            self.found.fill(0);
            self.kept.fill(0);
            self.read.fill(0);
            self.n_found = 0;
        }
    }

    /// Returns ranges of addresses whose tables may exist although no page stays in them.
    /// The ranges are as long as possible; the last one may end past the slot.
    pub(crate) fn idle(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let n_entries = self.found.len() * 64;
        let is_idle = |entry: usize| {
            let bit = 1 << (entry % 64);
            let stays = self.kept[entry / 64] | self.read[entry / 64];
            self.found[entry / 64] & bit != 0 && stays & bit == 0
        };
        let mut entry = 0;
        core::iter::from_fn(move || {
            while entry < n_entries && !is_idle(entry) {
                // Most words are empty.
                entry = match self.found[entry / 64] >> (entry % 64) {
                    0 => (entry / 64 + 1) * 64,
                    _ => entry + 1,
                };
            }
            let start = entry;
            while entry < n_entries && is_idle(entry) {
                entry += 1;
            }
            (start != entry).then(|| start << self.span_log2..entry << self.span_log2)
        })
    }

    fn entries(&self, addresses: &Range<usize>) -> Range<usize> {
        if addresses.is_empty() {
            return 0..0;
        }
        addresses.start >> self.span_log2..((addresses.end - 1) >> self.span_log2) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    const TABLE: usize = 2 << 20;

    #[derive(Clone, Debug)]
    enum Op {
        Begin,
        Note(usize, usize, bool),
        Freed(usize, usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        let range = || (0_usize..300, 0_usize..5);
        // In units of half a table.
        prop_oneof![
            1 => Just(Op::Begin),
            4 => (range(), any::<bool>()).prop_map(|((at, len), stays)| Op::Note(at, len, stays)),
            2 => range().prop_map(|(at, len)| Op::Freed(at, len)),
        ]
    }

    /// Regression: on 32-bit systems, a slot of 1 MiB panicked when it was reset.
    #[test]
    fn the_share_of_a_table_does_not_overflow() {
        const LARGE: usize = 1 << (usize::BITS - 2);
        let mut tables = PageTables::new(LARGE / 2, LARGE).expect("room");
        assert_eq!(tables.bytes(4096), 0);
        tables.note(&(0..1), true);
        assert_eq!(tables.bytes(4096), 2048);
    }

    proptest! {
        #[test]
        fn portable_tracked_tables_match_a_map(ops in prop::collection::vec(op(), 0..60)) {
            let mut tables = PageTables::new(160 * TABLE, TABLE).expect("room");
            let mut model: BTreeMap<usize, bool> = BTreeMap::new();
            for op in ops {
                let range = |at: usize, len: usize| at * TABLE / 2..(at + len) * TABLE / 2;
                match op {
                    Op::Begin => {
                        tables.begin();
                        model.values_mut().for_each(|stays| *stays = false);
                    }
                    Op::Note(at, len, stays) => {
                        tables.note(&range(at, len), stays);
                        for half in at..at + len {
                            *model.entry(half / 2).or_default() |= stays;
                        }
                    }
                    Op::Freed(at, len) => {
                        tables.freed(&range(at, len));
                        model.retain(|table, _| *table * 2 < at || at + len < table * 2 + 2);
                    }
                }
                prop_assert_eq!(tables.bytes(4096), model.len() * 4096);
                let idle: Vec<usize> = tables
                    .idle()
                    .flat_map(|range| range.start / TABLE..range.end / TABLE)
                    .collect();
                let expected = model.iter().filter(|(_, stays)| !**stays);
                prop_assert_eq!(idle, expected.map(|(table, _)| *table).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn portable_a_small_slot_is_charged_its_share_of_a_table() {
        let mut tables = PageTables::new(TABLE / 32, TABLE).expect("room");
        tables.note(&(0..1), true);
        assert_eq!(tables.bytes(4096), 4096 / 32);
        tables.freed(&(0..TABLE / 32));
        assert_eq!(tables.bytes(4096), 0);
    }

    #[test]
    fn portable_a_huge_slot_is_tracked_in_little_memory() {
        let mut tables = PageTables::new(1 << 42, TABLE).expect("room");
        assert!(tables.found.len() <= MAX_ENTRIES / 64);
        tables.note(&(0..1), true);
        // Any of the entry's tables may exist.
        assert_eq!(tables.bytes(4096), ((1 << 42) / TABLE / MAX_ENTRIES) * 4096);
        tables.all_freed();
        assert_eq!(tables.bytes(4096), 0);
    }
}
