//! What is written in another order at each start, where that can be observed.

use alloc::collections::BTreeMap;
use core::ops::Range;

use crate::contents::intervals::Intervals;

/// A replayed or copied segment, or a range of zeros, that matches one of the other side, as one side
/// has it.
#[derive(Clone, Debug)]
pub(super) struct Write<'c> {
    /// The number of the pair.
    pub(super) pair: usize,
    pub(super) memory: u32,
    pub(super) is_imported: bool,
    /// The addresses that it writes; `None` if it may trap.
    pub(super) range: Option<Range<u64>>,
    pub(super) data: Data<'c>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Data<'c> {
    Bytes(&'c [u8]),
    Zeros,
}

/// A memory, or all imported ones: two of them may be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Space {
    Memory(u32),
    Imported,
}

/// For each space, after how many segments that may trap: which write is seen at each address, by
/// its position in the list of its side.
type Seen = BTreeMap<(usize, Space), Intervals<Option<usize>>>;

/// Returns, for each pair, whether its segments are written in another order: before a segment that
/// may trap instead of after it, or over another one instead of under it, with other bytes there.
/// `sides` are in the order of the writes.
pub(super) fn reordered(sides: [&[Write<'_>]; 2], n_pairs: usize) -> Vec<bool> {
    let mut may_trap = vec![false; n_pairs];
    for it in sides.into_iter().flatten() {
        may_trap[it.pair] |= it.range.is_none();
    }
    let before = sides.map(|writes| n_traps_before(writes, &may_trap));
    let mut changed: Vec<bool> = before[0]
        .iter()
        .zip(&before[1])
        .map(|(a, b)| a != b)
        .collect();
    let seen = [0, 1].map(|nth| seen(sides[nth], &before[nth], &may_trap));
    for (key, first) in &seen[0] {
        let Some(second) = seen[1].get(key) else {
            continue;
        };
        for [a, b] in differing([first, second], sides) {
            changed[a] = true;
            changed[b] = true;
        }
    }
    changed
}

/// Returns, for each pair, how many segments that may trap come before it.
fn n_traps_before(writes: &[Write<'_>], may_trap: &[bool]) -> Vec<usize> {
    let mut before = vec![0; may_trap.len()];
    let mut n = 0;
    for it in writes {
        before[it.pair] = n;
        n += usize::from(may_trap[it.pair]);
    }
    before
}

fn seen(writes: &[Write<'_>], before: &[usize], may_trap: &[bool]) -> Seen {
    let mut seen = Seen::new();
    for (nth, it) in writes.iter().enumerate() {
        // The order of one that may trap is that of all others around it.
        let Some(range) = it.range.clone().filter(|_| !may_trap[it.pair]) else {
            continue;
        };
        let imported = it.is_imported.then_some(Space::Imported);
        for space in [Some(Space::Memory(it.memory)), imported]
            .into_iter()
            .flatten()
        {
            let all = || Intervals::new(0..u64::MAX, None);
            let intervals = seen.entry((before[it.pair], space)).or_insert_with(all);
            intervals.set(range.clone(), Some(nth));
        }
    }
    seen
}

/// Returns the pairs that are seen at the same addresses with different bytes.
fn differing(seen: [&Intervals<Option<usize>>; 2], sides: [&[Write<'_>]; 2]) -> Vec<[usize; 2]> {
    let mut found = Vec::new();
    let [mut first, mut second] = seen.map(|it| it.iter().peekable());
    while let (Some((a, nth_a)), Some((b, nth_b))) = (first.peek(), second.peek()) {
        let both = a.start.max(b.start)..a.end.min(b.end);
        if let (Some(nth_a), Some(nth_b)) = (nth_a, nth_b) {
            let [a, b] = [&sides[0][*nth_a], &sides[1][*nth_b]];
            if a.pair != b.pair && !are_same(bytes(a, &both), bytes(b, &both)) {
                found.push([a.pair, b.pair]);
            }
        }
        match a.end < b.end {
            true => first.next(),
            false => second.next(),
        };
    }
    found
}

/// Returns what is written to these addresses.
fn bytes<'c>(write: &Write<'c>, range: &Range<u64>) -> Data<'c> {
    let Data::Bytes(data) = write.data else {
        return Data::Zeros;
    };
    let start = write.range.as_ref().map_or(0, |it| it.start);
    let [from, to] = [range.start, range.end].map(|it| it.saturating_sub(start) as usize);
    Data::Bytes(data.get(from..to).unwrap_or_default())
}

fn are_same(a: Data<'_>, b: Data<'_>) -> bool {
    match (a, b) {
        (Data::Bytes(a), Data::Bytes(b)) => a == b,
        (Data::Bytes(it), Data::Zeros) | (Data::Zeros, Data::Bytes(it)) => {
            it.iter().all(|it| *it == 0)
        }
        (Data::Zeros, Data::Zeros) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The segments of both sides, by address and data; no address for one that may trap.
    fn check(a: &[(Option<u64>, &[u8])], order: &[usize], expected: &[bool]) {
        let write = |pair: usize| Write {
            pair,
            memory: 0,
            is_imported: false,
            range: a[pair].0.map(|it| it..it + a[pair].1.len() as u64),
            data: Data::Bytes(a[pair].1),
        };
        let first: Vec<_> = (0..a.len()).map(write).collect();
        let second: Vec<_> = order.iter().copied().map(write).collect();
        assert_eq!(reordered([&first, &second], a.len()), expected);
        assert_eq!(reordered([&second, &first], a.len()), expected);
    }

    #[test]
    fn the_order_of_overlapping_segments_matters() {
        let at = |addr: u64, data: &'static [u8]| (Some(addr), data);
        check(&[at(0, b"aa"), at(0, b"bb")], &[0, 1], &[false; 2]);
        check(&[at(0, b"aa"), at(0, b"bb")], &[1, 0], &[true; 2]);
        check(&[at(0, b"aa"), at(1, b"bb")], &[1, 0], &[true; 2]);
        check(&[at(0, b"aa"), at(2, b"bb")], &[1, 0], &[false; 2]);
        // The bytes that overlap are the same.
        check(&[at(0, b"ab"), at(1, b"bc")], &[1, 0], &[false; 2]);
        // Both are under the third.
        check(
            &[at(0, b"aa"), at(0, b"bb"), at(0, b"cc")],
            &[1, 0, 2],
            &[false; 3],
        );
    }

    #[test]
    fn the_order_around_one_that_may_trap_matters() {
        let at = |addr: u64, data: &'static [u8]| (Some(addr), data);
        let trap: (Option<u64>, &[u8]) = (None, b"t");
        check(&[at(0, b"a"), trap], &[1, 0], &[true, false]);
        check(&[trap, trap], &[1, 0], &[true; 2]);
        check(&[at(0, b"a"), trap, at(0, b"b")], &[0, 1, 2], &[false; 3]);
        check(&[at(0, b"a"), at(8, b"b"), trap], &[1, 0, 2], &[false; 3]);
        check(
            &[trap, at(0, b"a"), at(0, b"b")],
            &[0, 2, 1],
            &[false, true, true],
        );
    }

    /// Two imported memories may be the same one.
    #[test]
    fn imported_memories_may_be_one() {
        for (is_imported, expected) in [(false, false), (true, true)] {
            let write = |pair: usize| Write {
                pair,
                memory: pair as u32,
                is_imported,
                range: Some(0..1),
                data: Data::Bytes([b"a", b"b"][pair]),
            };
            let found = reordered([&[write(0), write(1)], &[write(1), write(0)]], 2);
            assert_eq!(found, [expected; 2]);
        }
    }
}
