//! Chooses which spans of a memory become segments, to minimise the encoding.
//!
//! Non-zero bytes must be written. Zeros between them may be omitted if the memory is known
//! to be zero. Splitting at a gap of zeros pays off if the gap is longer than the encoding of
//! another segment: a header, whose length depends on the address, and a length, whose
//! encoding depends on the length.
//!
//! Two bounds decide most cases. Let `header` be that of the segment after the gap:
//!
//! * gap ≤ header: join. The joined length takes at most one LEB128 byte more than the
//!   larger of the two lengths, and the encoding of the smaller one is saved.
//! * header + 5 < gap: split. A split costs the header and at most one more length.
//!
//! In between, a dynamic program over the spans decides, exactly and in linear time. The
//! cost of a segment is the sum of a term for its first span, a term for its last span,
//! and one of five widths of its length, so the best first span for each width is the
//! minimum of a sliding window.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wasm_meminit_analysis::Piece;

use super::data::Target;
use super::join::join_to;

/// A non-empty range of addresses that one segment writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Span {
    pub(super) const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// Widths of LEB128 lengths, and the exclusive limit of each. 5 bytes suffice for any file.
const WIDTHS: [(u64, u64); 5] = [
    (1, 1 << 7),
    (2, 1 << 14),
    (3, 1 << 21),
    (4, 1 << 28),
    (5, 1 << 35),
];

/// A gap that is always split: wider than any header (14 bytes) plus 5.
const WIDE: u64 = 32;

/// Costs are counted in fractions of a byte, because the weight of a segment that balances
/// several joins may be fractional.
const PARTS: u64 = 1 << 8;

/// The segments of one memory.
#[derive(Clone, Debug)]
pub(super) struct Cover {
    pub(super) target: Target,
    /// Spans that are never split.
    atoms: Vec<Span>,
    /// The segments, each of one or more joined atoms.
    pub(super) spans: Vec<Span>,
    /// Whether gaps between atoms are known to be zero, so that segments may include them.
    gaps_are_zero: bool,
}

impl Cover {
    /// Covers pieces in a memory whose other bytes are known to be zero, with the shortest
    /// encoding, and the fewest segments among those.
    pub(super) fn of_zeroed(target: Target, pieces: &[Piece<'_>]) -> Self {
        let atoms = nonzero(target, pieces);
        Self {
            target,
            spans: best_joins(target, &atoms, 0),
            atoms,
            gaps_are_zero: true,
        }
    }

    /// Covers pieces in a memory with unknown contents: exactly their bytes. Adjacent pieces
    /// are merged into one segment.
    pub(super) fn of_unknown(target: Target, pieces: &[Piece<'_>]) -> Self {
        let atoms = touching(pieces);
        Self {
            target,
            spans: atoms.clone(),
            atoms,
            gaps_are_zero: false,
        }
    }

    /// Returns the best segments if each costs `weight` [`PARTS`] more than its encoding.
    fn weighed(&self, weight: u64) -> Self {
        let mut cover = self.clone();
        if self.gaps_are_zero {
            cover.spans = best_joins(self.target, &self.atoms, weight);
        }
        cover
    }

    /// Returns the widest gap that may be closed, in bytes.
    fn widest_gap(&self) -> u64 {
        let gaps = self.atoms.windows(2).map(|pair| match *pair {
            [a, b] if self.gaps_are_zero => b.start.saturating_sub(a.end),
            _ => 0,
        });
        gaps.fold(0, u64::max)
    }

    /// Returns, for each gap between segments, the bytes that closing it adds.
    pub(super) fn joins(&self) -> impl Iterator<Item = Option<i128>> + '_ {
        let len = |it| i128::from(self.target.segment_len(it));
        self.spans.windows(2).map(move |pair| {
            let [a, b] = *pair else { return None };
            let joined = Span {
                start: a.start,
                end: b.end,
            };
            let cost = len(joined).saturating_sub(len(a)).saturating_sub(len(b));
            self.gaps_are_zero.then_some(cost)
        })
    }

    /// Joins segments across the gaps for which `is_joined` returns true.
    pub(super) fn joined(&self, mut is_joined: impl FnMut() -> bool) -> Self {
        let mut spans: Vec<Span> = Vec::with_capacity(self.spans.len());
        for (nth, it) in self.spans.iter().enumerate() {
            let join = nth != 0 && is_joined();
            match spans.last_mut() {
                Some(last) if join => last.end = it.end,
                _ => spans.push(*it),
            }
        }
        Self {
            spans,
            ..self.clone()
        }
    }
}

/// Returns spans that begin and end with a non-zero byte. Gaps too short to split at are
/// included.
fn nonzero(target: Target, pieces: &[Piece<'_>]) -> Vec<Span> {
    let mut list: Vec<Span> = Vec::new();
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
                _ => list.push(Span { start, end }),
            }
        }
    }
    list
}

/// Returns the spans of pieces, merging adjacent ones.
fn touching(pieces: &[Piece<'_>]) -> Vec<Span> {
    let mut list: Vec<Span> = Vec::new();
    for piece in pieces {
        match list.last_mut() {
            Some(last) if last.end == piece.addr => last.end = piece.end(),
            _ => list.push(Span {
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

/// The cost of segments in [`PARTS`], without the bytes that they must contain, and their
/// number, which breaks ties in favour of fewer segments.
type Cost = (i64, u32);

/// The best solution up to a span that ends a segment.
#[derive(Clone, Copy)]
struct Best {
    cost: Cost,
    /// The first span of that segment.
    first: usize,
}

/// A span that a segment may begin with.
#[derive(Clone, Copy)]
struct Begin {
    /// The cost of everything before and of the header, minus the zeros before it.
    cost: Cost,
    first: usize,
    start: u64,
}

/// Joins spans where that is cheaper than another segment, which costs `weight` [`PARTS`]
/// more than its encoding.
fn best_joins(target: Target, spans: &[Span], weight: u64) -> Vec<Span> {
    let wide = WIDE.saturating_add(weight.div_ceil(PARTS));
    let mut windows: [VecDeque<Begin>; 5] = Default::default();
    let mut bests: Vec<Best> = Vec::with_capacity(spans.len());
    let mut end = 0;
    let mut zeros = 0_i64;
    for (nth, it) in spans.iter().enumerate() {
        let gap = it.start.saturating_sub(end).min(wide);
        if gap == wide {
            // Never joined across.
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
            // Keep costs ascending: a more expensive entry that expires earlier is never used.
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
                // Overestimates shorter lengths, which are in their own window.
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
    trace(spans, &bests)
}

fn in_parts(bytes: u64) -> i64 {
    i64::try_from(bytes.saturating_mul(PARTS)).unwrap_or(i64::MAX)
}

/// Reconstructs the segments, from the last span back to the first.
fn trace(spans: &[Span], bests: &[Best]) -> Vec<Span> {
    let mut list = Vec::new();
    let mut end = spans.len();
    while let Some(last) = end.checked_sub(1) {
        let first = bests.get(last).map_or(last, |best| best.first.min(last));
        if let (Some(first), Some(last)) = (spans.get(first), spans.get(last)) {
            list.push(Span {
                start: first.start,
                end: last.end,
            });
        }
        end = first;
    }
    list.reverse();
    list
}

/// Returns the total number of segments.
pub(super) fn n_segments(covers: &[Cover]) -> usize {
    let counts = covers.iter().map(|it| it.spans.len());
    counts.fold(0, usize::saturating_add)
}

/// Returns the total length of the encoding in bytes.
pub(super) fn encoded_len(covers: &[Cover]) -> u64 {
    let spans = |it: &Cover| -> u64 {
        let lens = it.spans.iter().map(|at| it.target.segment_len(*at));
        lens.fold(0, u64::saturating_add)
    };
    covers.iter().map(spans).fold(0, u64::saturating_add)
}

/// Joins segments until at most `max_segments` are left, or until the encoding would exceed
/// `max_bytes`.
///
/// For any weight per segment, the result is optimal for its number of segments. But not
/// every number can be reached this way, because thousands of joins may cost the same. So a
/// binary search finds the weights around the desired number, surplus segments are joined
/// across the cheapest gaps, and the best of these few lists is returned.
pub(super) fn limit(covers: Vec<Cover>, max_segments: usize, max_bytes: u64) -> Vec<Cover> {
    let too_many = |covers: &[Cover]| max_segments < n_segments(covers);
    if !too_many(&covers) {
        return covers;
    }
    let weighed = |weight| -> Vec<Cover> { covers.iter().map(|it| it.weighed(weight)).collect() };
    let may_continue = |covers: &[Cover]| too_many(covers) && encoded_len(covers) <= max_bytes;
    // With the weight of the widest gap, all are joined.
    let widest = covers.iter().map(Cover::widest_gap).fold(0, u64::max);
    let max_weight = widest.min(MAX_GAP).saturating_mul(PARTS);
    let (mut low, mut high) = (0_u64, 1_u64);
    while high < max_weight && may_continue(&weighed(high)) {
        (low, high) = (high, high.saturating_mul(2));
    }
    while low.saturating_add(1) < high {
        let middle = low.midpoint(high);
        if may_continue(&weighed(middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    let joined = |weight| join_to(&weighed(weight), max_segments, max_bytes);
    let key = |it: &Vec<Cover>| {
        let bytes = encoded_len(it);
        // First the lists within `max_bytes`; of those, the one closest to the limit.
        let excess = n_segments(it).saturating_sub(max_segments);
        (max_bytes < bytes, excess, bytes)
    };
    let lists = [joined(low), joined(low.saturating_sub(1)), weighed(high)];
    lists.into_iter().min_by_key(key).unwrap_or(covers)
}

/// No segment reaches 8 GiB, so no closed gap does.
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

    fn cost(target: Target, spans: &[Span]) -> (u64, usize) {
        let bytes = spans.iter().map(|it| target.segment_len(*it)).sum();
        (bytes, spans.len())
    }

    /// Tries every way to join neighbours: slow, but obviously complete.
    fn exhaustive(target: Target, atoms: &[Span], max_segments: usize) -> (u64, usize) {
        let n_gaps = atoms.len().saturating_sub(1);
        (0..1_u32 << n_gaps)
            .map(|joined| {
                let mut list: Vec<Span> = Vec::new();
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

    /// What `nonzero` does to spans, without the bytes.
    fn prejoined(target: Target, atoms: &[Span]) -> Vec<Span> {
        let mut list: Vec<Span> = Vec::new();
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

    fn atoms(base: u64, list: &[(u64, u64)]) -> Vec<Span> {
        let mut end = base;
        list.iter()
            .map(|(gap, len)| {
                let start = end + gap;
                end = start + len;
                Span { start, end }
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
        fn the_encoding_is_optimal(
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

        /// The result is at most two bytes longer than the optimum.
        #[test]
        fn a_limit_is_met_close_to_optimally(
            shape in shapes(),
            base in bases(),
            max_segments in 1_usize..6,
        ) {
            let target = target(0, IndexType::I32);
            let atoms = atoms(base, &shape);
            let prejoined = prejoined(target, &atoms);
            let cover = Cover {
                target,
                spans: best_joins(target, &prejoined, 0),
                atoms: prejoined,
                gaps_are_zero: true,
            };
            let got = limit(alloc::vec![cover.clone()], max_segments, u64::MAX);
            let (bytes, n) = cost(target, &got[0].spans);
            prop_assert!(n <= max_segments);
            let (least, _) = exhaustive(target, &atoms, max_segments);
            prop_assert!(bytes <= least + 2, "{bytes}, {least}");

            // With a byte limit equal to the unlimited length, the length does not grow.
            let (free, _) = cost(target, &cover.spans);
            let got = limit(alloc::vec![cover], max_segments, free);
            prop_assert!(cost(target, &got[0].spans).0 <= free);
        }
    }

    #[test]
    fn bytes_give_the_expected_spans() {
        let target = target(0, IndexType::I32);
        // A header at this address has 4 bytes, a length one.
        let zeros = |n: usize| alloc::vec![0; n];
        let check = |data: &[u8], expected: &[(u64, u64)]| {
            let piece = Piece { addr: 10, data };
            let got = Cover::of_zeroed(target, &[piece]).spans;
            let got: Vec<(u64, u64)> = got.iter().map(|it| (it.start, it.end)).collect();
            assert_eq!(got, expected);
        };
        check(&zeros(9), &[]);
        check(&[0, 1, 0, 0, 2, 0], &[(11, 15)]);
        check(&[&[1][..], &zeros(5), &[1]].concat(), &[(10, 17)]); // joining costs the same
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
