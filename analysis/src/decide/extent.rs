//! The addresses that segments write in a memory, and how densely.

use alloc::vec::Vec;
use core::ops::Range;

use crate::address::len;
use crate::decide::visible::Piece;

/// The addresses that segments write in one memory, and how densely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Extent {
    /// Lowest address written.
    pub min: u64,
    /// One past the highest address written.
    pub max: u64,
    /// Total length of all segments in bytes; overlapping bytes count each time.
    pub data_bytes: u64,
    /// Number of addresses written; overlapping bytes count once.
    pub written_bytes: u64,
    /// Number of segments with at least one byte.
    pub n_segments: u64,
    /// How many of them overlap an earlier one.
    pub n_overlapping: u64,
    /// How many of them start at a lower address than their predecessor.
    pub n_out_of_order: u64,
}

impl Extent {
    /// Returns the range from the lowest address written to one past the highest.
    pub const fn addresses(&self) -> Range<u64> {
        self.min..self.max
    }

    /// Returns the fraction of the addresses in the range that are written, from 0 to 1.
    #[allow(
        clippy::as_conversions,
        reason = "u64 to f64 rounds, which is fine for a fraction"
    )]
    pub fn density(&self) -> f64 {
        let span = self.max.saturating_sub(self.min);
        if span == 0 {
            0.0
        } else {
            self.written_bytes as f64 / span as f64
        }
    }

    /// Computes the extent of segments, given in the order in which they are written, and
    /// of their visible bytes. `None` if there are no bytes.
    pub(crate) fn of(segments: &[Piece<'_>], visible: &[Piece<'_>]) -> Option<Self> {
        let bytes = |pieces: &[Piece<'_>]| {
            let lens = pieces.iter().map(|it| len(it.data));
            lens.fold(0, u64::saturating_add)
        };
        debug_assert!(visible.is_sorted_by(|a, b| a.end() <= b.addr));
        let mut extent = Self {
            min: visible.first()?.addr,
            max: visible.last()?.end(),
            data_bytes: bytes(segments),
            written_bytes: bytes(visible),
            n_segments: 0,
            n_overlapping: 0,
            n_out_of_order: 0,
        };
        let mut before = 0;
        for segment in segments.iter().filter(|it| !it.data.is_empty()) {
            extent.n_segments = extent.n_segments.saturating_add(1);
            if segment.addr < before {
                extent.n_out_of_order = extent.n_out_of_order.saturating_add(1);
            }
            before = segment.addr;
        }
        if extent.written_bytes < extent.data_bytes {
            extent.n_overlapping = n_overlapping(segments);
        }
        Some(extent)
    }
}

/// Counts the segments that overlap an earlier one. Called only if some do.
fn n_overlapping(segments: &[Piece<'_>]) -> u64 {
    // The union of the ranges written so far, disjoint: start to end.
    let mut written = alloc::collections::BTreeMap::<u64, u64>::new();
    let mut n = 0_u64;
    for segment in segments.iter().filter(|it| !it.data.is_empty()) {
        let Range { mut start, mut end } = segment.addresses();
        // Ranges that touch or overlap the segment are merged with it. Each is merged
        // once, so all segments together take `O(n log n)`.
        let joined: Vec<(u64, u64)> = written
            .range(..=end)
            .rev()
            .take_while(|&(_, &until)| start <= until)
            .map(|(&from, &until)| (from, until))
            .collect();
        if joined
            .iter()
            .any(|&(from, until)| from < segment.end() && segment.addr < until)
        {
            n = n.saturating_add(1);
        }
        for (from, until) in joined {
            written.remove(&from);
            start = start.min(from);
            end = end.max(until);
        }
        written.insert(start, end);
    }
    n
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::decide::visible::visible;

    proptest! {
        #[test]
        fn overlap_counts_match_a_byte_map(
            segments in prop::collection::vec((0_u64..40, 0_usize..8), 0..10)
        ) {
            let bytes = [1_u8; 8];
            let pieces: Vec<Piece<'_>> = segments
                .iter()
                .map(|&(addr, len)| Piece { addr, data: &bytes[..len] })
                .collect();
            let mut written = [false; 64];
            let mut expected = 0;
            for piece in &pieces {
                let range = usize::try_from(piece.addr).unwrap()..usize::try_from(piece.end()).unwrap();
                expected += u64::from(written[range.clone()].contains(&true));
                written[range].fill(true);
            }
            let extent = Extent::of(&pieces, &visible(&pieces));
            prop_assert_eq!(extent.map_or(0, |it| it.n_overlapping), expected);
            let n_written = written.iter().filter(|it| **it).count();
            prop_assert_eq!(extent.map_or(0, |it| it.written_bytes), u64::try_from(n_written).unwrap());
        }
    }

    #[test]
    fn an_extent_has_the_figures_that_it_documents() {
        let of = |segments: &[(u64, usize)]| {
            let pieces = segments.iter().map(|&(addr, len)| Piece {
                addr,
                data: &[1; 8][..len],
            });
            let pieces: Vec<_> = pieces.collect();
            Extent::of(&pieces, &visible(&pieces))
        };
        assert_eq!(of(&[(3, 0)]), None);
        let extent = of(&[(20, 2), (20, 4), (9, 0), (10, 3)]).unwrap();
        assert_eq!(extent.addresses(), 10..24);
        assert_eq!((extent.data_bytes, extent.written_bytes), (9, 7));
        assert_eq!((extent.n_segments, extent.n_overlapping), (3, 1));
        // One at the address of its predecessor is in order.
        assert_eq!(extent.n_out_of_order, 1);
        let is = |density: f64, expected: f64| (density - expected).abs() < 1e-9;
        assert!(is(extent.density(), 0.5));
        assert!(is(of(&[(5, 4)]).unwrap().density(), 1.0));
        assert!(is(Extent { max: 10, ..extent }.density(), 0.0));
    }
}
