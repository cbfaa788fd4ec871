//! Which stretches of a memory become segments, so that the encoding is shortest.
//!
//! Bytes other than zero must be written; zeros between them may be, where the memory
//! is known to be zero. A gap of zeros is worth a new segment if it is longer than
//! what that costs: a header, whose length depends on the address, and a length, whose
//! encoding depends on the length.
//!
//! Two bounds leave little to decide. With `header` for the segment behind the gap:
//!
//! * gap ≤ header: joined. A length that grows by a gap this short, and by the smaller
//!   of two lengths, has at most one LEB128 byte more than the larger one, and the
//!   smaller one's length is saved.
//! * header + 5 < gap: cut. A cut costs the header and at most one more length.
//!
//! Between the two a dynamic program over the stretches decides, exactly and in linear
//! time: the cost of a segment is its first stretch's part, its last stretch's part,
//! and one of five widths of its length, so the best first stretch for each width is
//! the minimum of a sliding window.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wasm_meminit_analysis::Piece;

use super::data::Target;
use super::join::join_to;

/// Addresses that one segment writes: never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Stretch {
    pub(super) const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// Bytes that 1 to 5 bytes of LEB128 count to, exclusively: 5 are enough for any file.
const WIDTHS: [(u64, u64); 5] = [
    (1, 1 << 7),
    (2, 1 << 14),
    (3, 1 << 21),
    (4, 1 << 28),
    (5, 1 << 35),
];

/// A gap that is cut whatever its header costs: above 14 bytes for that and 5.
const WIDE: u64 = 32;

/// Parts of a byte that costs are counted in: where several joins together cost less
/// than one by one, the fair price of a segment is a fraction.
const PARTS: u64 = 1 << 8;

/// The segments of one memory.
#[derive(Clone, Debug)]
pub(super) struct Cover {
    pub(super) target: Target,
    /// What a segment must hold as a whole.
    atoms: Vec<Stretch>,
    /// The segments: joined atoms.
    pub(super) stretches: Vec<Stretch>,
    /// Whether gaps between atoms are known to be zero, so that they may be written.
    gaps_are_zero: bool,
}

impl Cover {
    /// For pieces in a memory whose other bytes are known to be zero: as few bytes of
    /// encoding as can be, and with those as few segments.
    pub(super) fn of_zeroed(target: Target, pieces: &[Piece<'_>]) -> Self {
        let atoms = nonzero(target, pieces);
        Self {
            target,
            stretches: best_joins(target, &atoms, 0),
            atoms,
            gaps_are_zero: true,
        }
    }

    /// For pieces in a memory of which nothing is known: every byte of them, and no
    /// other. Pieces that touch are one segment.
    pub(super) fn of_unknown(target: Target, pieces: &[Piece<'_>]) -> Self {
        let atoms = touching(pieces);
        Self {
            target,
            stretches: atoms.clone(),
            atoms,
            gaps_are_zero: false,
        }
    }

    /// The best segments if each costs so many [`PARTS`] more than its encoding.
    fn weighed(&self, weight: u64) -> Self {
        let mut cover = self.clone();
        if self.gaps_are_zero {
            cover.stretches = best_joins(self.target, &self.atoms, weight);
        }
        cover
    }

    /// The widest gap that may be joined, in bytes.
    fn widest_gap(&self) -> u64 {
        let gaps = self.atoms.windows(2).map(|pair| match *pair {
            [a, b] if self.gaps_are_zero => b.start.saturating_sub(a.end),
            _ => 0,
        });
        gaps.fold(0, u64::max)
    }

    /// For each gap between segments: how many bytes joining across it costs.
    pub(super) fn joins(&self) -> impl Iterator<Item = Option<i128>> + '_ {
        let len = |it| i128::from(self.target.segment_len(it));
        self.stretches.windows(2).map(move |pair| {
            let [a, b] = *pair else { return None };
            let joined = Stretch {
                start: a.start,
                end: b.end,
            };
            let cost = len(joined).saturating_sub(len(a)).saturating_sub(len(b));
            self.gaps_are_zero.then_some(cost)
        })
    }

    /// The same, joined across the gaps for which `is_joined` is true.
    pub(super) fn joined(&self, mut is_joined: impl FnMut() -> bool) -> Self {
        let mut stretches: Vec<Stretch> = Vec::with_capacity(self.stretches.len());
        for (nth, it) in self.stretches.iter().enumerate() {
            let join = nth != 0 && is_joined();
            match stretches.last_mut() {
                Some(last) if join => last.end = it.end,
                _ => stretches.push(*it),
            }
        }
        Self {
            stretches,
            ..self.clone()
        }
    }
}

/// Stretches that begin and end with a byte other than zero; gaps that no segment is
/// worth are joined.
fn nonzero(target: Target, pieces: &[Piece<'_>]) -> Vec<Stretch> {
    let mut list: Vec<Stretch> = Vec::new();
    for piece in pieces {
        let mut rest = piece.data;
        while let Some(zeros) = rest.iter().position(|byte| *byte != 0) {
            rest = rest.get(zeros..).unwrap_or_default();
            let start = piece.end().saturating_sub(len(rest));
            let n = rest.iter().position(|byte| *byte == 0);
            rest = n.and_then(|n| rest.get(n..)).unwrap_or_default();
            let end = piece.end().saturating_sub(len(rest));
            match list.last_mut() {
                Some(last) if start.saturating_sub(last.end) <= target.header_len(start) => {
                    last.end = end;
                }
                _ => list.push(Stretch { start, end }),
            }
        }
    }
    list
}

/// Pieces, with those that touch as one.
fn touching(pieces: &[Piece<'_>]) -> Vec<Stretch> {
    let mut list: Vec<Stretch> = Vec::new();
    for piece in pieces {
        match list.last_mut() {
            Some(last) if last.end == piece.addr => last.end = piece.end(),
            _ => list.push(Stretch {
                start: piece.addr,
                end: piece.end(),
            }),
        }
    }
    list
}

fn len(data: &[u8]) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

/// What segments cost in [`PARTS`] besides the bytes that they must hold, and how many
/// they are: of two equal costs, the one with fewer segments.
type Cost = (i64, u32);

/// The best way to a stretch, as the last one of a segment.
#[derive(Clone, Copy)]
struct Best {
    cost: Cost,
    /// The first stretch of that segment.
    first: usize,
}

/// A stretch that a segment may begin with.
#[derive(Clone, Copy)]
struct Begin {
    /// Everything before, and the header, less the zeros before it.
    cost: Cost,
    first: usize,
    start: u64,
}

/// Joins stretches where that is cheaper than a segment of its own, which costs
/// `weight` [`PARTS`] more than its encoding.
fn best_joins(target: Target, stretches: &[Stretch], weight: u64) -> Vec<Stretch> {
    let wide = WIDE.saturating_add(weight.div_ceil(PARTS));
    let mut windows: [VecDeque<Begin>; 5] = Default::default();
    let mut bests: Vec<Best> = Vec::with_capacity(stretches.len());
    let mut end = 0;
    let mut zeros = 0_i64;
    for (nth, it) in stretches.iter().enumerate() {
        let gap = it.start.saturating_sub(end).min(wide);
        if gap == wide {
            // Nothing is joined across it.
            windows.iter_mut().for_each(VecDeque::clear);
        }
        zeros = zeros.saturating_add(in_parts(gap));
        end = it.end;
        let before = bests.last().map_or((0, 0), |best| best.cost);
        let header = in_parts(target.header_len(it.start)).saturating_add_unsigned(weight);
        let begin = Begin {
            cost: (
                before.0.saturating_add(header).saturating_sub(zeros),
                before.1.saturating_add(1),
            ),
            first: nth,
            start: it.start,
        };
        let mut best: Option<Best> = None;
        for (window, (width, limit)) in windows.iter_mut().zip(WIDTHS) {
            // Lowest cost in front: what is dearer and leaves earlier is never used.
            while window.back().is_some_and(|back| begin.cost <= back.cost) {
                window.pop_back();
            }
            window.push_back(begin);
            while window
                .front()
                .is_some_and(|it| limit <= end.saturating_sub(it.start))
            {
                window.pop_front();
            }
            if let Some(it) = window.front() {
                // Too much for lengths of fewer bytes; those are in their own window.
                let cost = it.cost.0.saturating_add(in_parts(width));
                let cost = cost.saturating_add(zeros);
                let cost = (cost, it.cost.1);
                if best.is_none_or(|best| cost < best.cost) {
                    best = Some(Best {
                        cost,
                        first: it.first,
                    });
                }
            }
        }
        let alone = Best {
            cost: before,
            first: nth,
        };
        bests.push(best.unwrap_or(alone));
    }
    trace(stretches, &bests)
}

fn in_parts(bytes: u64) -> i64 {
    i64::try_from(bytes.saturating_mul(PARTS)).unwrap_or(i64::MAX)
}

/// From the last stretch back to the first.
fn trace(stretches: &[Stretch], bests: &[Best]) -> Vec<Stretch> {
    let mut list = Vec::new();
    let mut behind = stretches.len();
    while let Some(last) = behind.checked_sub(1) {
        let first = bests.get(last).map_or(last, |best| best.first.min(last));
        if let (Some(first), Some(last)) = (stretches.get(first), stretches.get(last)) {
            list.push(Stretch {
                start: first.start,
                end: last.end,
            });
        }
        behind = first;
    }
    list.reverse();
    list
}

/// How many segments the memories have together.
pub(super) fn n_segments(covers: &[Cover]) -> usize {
    let counts = covers.iter().map(|it| it.stretches.len());
    counts.fold(0, usize::saturating_add)
}

pub(super) fn encoded_len(covers: &[Cover]) -> u64 {
    let stretches = |it: &Cover| -> u64 {
        let lens = it.stretches.iter().map(|at| it.target.segment_len(*at));
        lens.fold(0, u64::saturating_add)
    };
    covers.iter().map(stretches).fold(0, u64::saturating_add)
}

/// Joins until at most `max_segments` are left, as far as the encoding has no more
/// than `max_bytes`.
///
/// A weight on each segment gives a list that no other of as many segments beats, but
/// not every number of segments: thousands of joins can have one price. So the weights
/// around the wanted number are found by halving, and what is still too many is joined
/// across the cheapest gaps; of these few lists the best is taken.
pub(super) fn limit(covers: Vec<Cover>, max_segments: usize, max_bytes: u64) -> Vec<Cover> {
    let too_many = |covers: &[Cover]| max_segments < n_segments(covers);
    if !too_many(&covers) {
        return covers;
    }
    let weighed = |weight| -> Vec<Cover> { covers.iter().map(|it| it.weighed(weight)).collect() };
    let goes_on = |covers: &[Cover]| too_many(covers) && encoded_len(covers) <= max_bytes;
    // At the price of the widest gap all are joined.
    let widest = covers.iter().map(Cover::widest_gap).fold(0, u64::max);
    let max_weight = widest.min(MAX_GAP).saturating_mul(PARTS);
    let (mut low, mut high) = (0_u64, 1_u64);
    while high < max_weight && goes_on(&weighed(high)) {
        (low, high) = (high, high.saturating_mul(2));
    }
    while low.saturating_add(1) < high {
        let middle = low.midpoint(high);
        if goes_on(&weighed(middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    let joined = |weight| join_to(&weighed(weight), max_segments, max_bytes);
    let key = |it: &Vec<Cover>| {
        let bytes = encoded_len(it);
        // Whatever fits comes first; of that, what keeps the limit best.
        let excess = n_segments(it).saturating_sub(max_segments);
        (max_bytes < bytes, excess, bytes)
    };
    let lists = [joined(low), joined(low.saturating_sub(1)), weighed(high)];
    lists.into_iter().min_by_key(key).unwrap_or(covers)
}

/// No segment has 8 GiB, so no gap that is joined has.
const MAX_GAP: u64 = 1 << 33;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wasm_meminit_analysis::{IndexType, MemoryIndex};

    use super::*;

    fn target(memory: u32, index_type: IndexType) -> Target {
        Target {
            memory: MemoryIndex::from_u32(memory),
            index_type,
        }
    }

    fn cost(target: Target, stretches: &[Stretch]) -> (u64, usize) {
        let bytes = stretches.iter().map(|it| target.segment_len(*it)).sum();
        (bytes, stretches.len())
    }

    /// Every way to join neighbours: slow, and obviously complete.
    fn exhaustive(target: Target, atoms: &[Stretch], max_segments: usize) -> (u64, usize) {
        let n_gaps = atoms.len().saturating_sub(1);
        (0..1_u32 << n_gaps)
            .map(|joined| {
                let mut list: Vec<Stretch> = Vec::new();
                for (nth, it) in atoms.iter().enumerate() {
                    match list.last_mut() {
                        Some(last) if joined >> (nth - 1) & 1 == 1 => last.end = it.end,
                        _ => list.push(*it),
                    }
                }
                cost(target, &list)
            })
            .filter(|(_, n)| *n <= max_segments)
            .min()
            .unwrap()
    }

    /// What `nonzero` does to stretches, without the bytes.
    fn prejoined(target: Target, atoms: &[Stretch]) -> Vec<Stretch> {
        let mut list: Vec<Stretch> = Vec::new();
        for it in atoms {
            match list.last_mut() {
                Some(last) if it.start - last.end <= target.header_len(it.start) => {
                    last.end = it.end;
                }
                _ => list.push(*it),
            }
        }
        list
    }

    fn atoms(base: u64, list: &[(u64, u64)]) -> Vec<Stretch> {
        let mut end = base;
        list.iter()
            .map(|(gap, len)| {
                let start = end + gap;
                end = start + len;
                Stretch { start, end }
            })
            .collect()
    }

    /// Lengths around the widths of LEB128, and gaps around the cost of a header.
    fn shapes() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let len = prop_oneof![
            4 => 1_u64..8,
            4 => 100_u64..130,
            1 => 16_200_u64..16_400,
            1 => (1_u64 << 21) - 60..(1 << 21) + 10,
            1 => (1_u64 << 28) - 60..(1 << 28) + 10,
        ];
        let gap = prop_oneof![1 => 1_u64..24, 3 => 5_u64..14, 1 => 24_u64..400];
        prop::collection::vec((gap, len), 1..11)
    }

    fn bases() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0),
            0_u64..128,
            8_000_u64..8_200,
            (1_u64 << 20) - 200..1 << 20,
            (1_u64 << 27) - 200..1 << 27,
            (1_u64 << 31) - 200..1 << 31,
        ]
    }

    proptest! {
        #[test]
        fn no_way_is_cheaper(
            shape in shapes(),
            base in bases(),
            memory in 0_u32..2,
            is_64: bool,
        ) {
            let target = target(memory, if is_64 { IndexType::I64 } else { IndexType::I32 });
            let atoms = atoms(base, &shape);
            let got = best_joins(target, &prejoined(target, &atoms), 0);
            prop_assert_eq!(cost(target, &got), exhaustive(target, &atoms, usize::MAX));
        }

        /// At most two bytes more than the best way to keep it.
        #[test]
        fn a_limit_costs_little_more_than_it_must(
            shape in shapes(),
            base in bases(),
            max_segments in 1_usize..6,
        ) {
            let target = target(0, IndexType::I32);
            let atoms = atoms(base, &shape);
            let prejoined = prejoined(target, &atoms);
            let cover = Cover {
                target,
                stretches: best_joins(target, &prejoined, 0),
                atoms: prejoined,
                gaps_are_zero: true,
            };
            let got = limit(alloc::vec![cover.clone()], max_segments, u64::MAX);
            let (bytes, n) = cost(target, &got[0].stretches);
            prop_assert!(n <= max_segments);
            let (least, _) = exhaustive(target, &atoms, max_segments);
            prop_assert!(bytes <= least + 2, "{bytes}, {least}");

            // With as many bytes as without a limit, nothing gets dearer.
            let (free, _) = cost(target, &cover.stretches);
            let got = limit(alloc::vec![cover], max_segments, free);
            prop_assert!(cost(target, &got[0].stretches).0 <= free);
        }
    }

    #[test]
    fn bytes_make_the_same_stretches() {
        let target = target(0, IndexType::I32);
        // A header at this address has 4 bytes, a length one.
        let zeros = |n: usize| alloc::vec![0; n];
        let check = |data: &[u8], expected: &[(u64, u64)]| {
            let piece = Piece { addr: 10, data };
            let got = Cover::of_zeroed(target, &[piece]).stretches;
            let got: Vec<(u64, u64)> = got.iter().map(|it| (it.start, it.end)).collect();
            assert_eq!(got, expected);
        };
        check(&zeros(9), &[]);
        check(&[0, 1, 0, 0, 2, 0], &[(11, 15)]);
        check(&[&[1][..], &zeros(5), &[1]].concat(), &[(10, 17)]); // no dearer joined
        check(&[&[1][..], &zeros(6), &[1]].concat(), &[(10, 11), (17, 18)]);
    }

    #[test]
    fn a_long_list_takes_linear_time() {
        let target = target(0, IndexType::I32);
        let atoms = atoms(1 << 21, &[(8, 1)].repeat(300_000));
        let got = best_joins(target, &atoms, 0);
        assert!(cost(target, &got) <= cost(target, &atoms));
    }
}
