//! Computes which spans of a memory become segments, so that the encoding is shortest.
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

use super::data::Target;
use super::span::Span;

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
pub(super) const PARTS: u64 = 1 << 8;

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
pub(super) fn best_joins(target: Target, spans: &[Span], weight: u64) -> Vec<Span> {
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
