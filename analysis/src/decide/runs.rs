//! Computes the runs of an image, its page-aligned pieces, from visible bytes.

use alloc::vec::Vec;
use core::ops::Range;

use crate::HostPageSize;
use crate::decide::visible::Piece;

/// One page-aligned, contiguous piece of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Run {
    /// The address of the first byte, a multiple of the host page size.
    pub addr: u64,
    /// The length in bytes, a multiple of the host page size and never 0.
    pub len: u64,
}

impl Run {
    /// Returns one past the address of the last byte. Saturates at 2⁶⁴ - 1, which affects
    /// only the last page of a 64-bit memory.
    pub const fn end(&self) -> u64 {
        self.addr.saturating_add(self.len)
    }
}

/// Returns the ranges of host pages that contain a non-zero byte, in order.
///
/// Reads each byte at most once, and skips the rest of a page known to be non-zero.
pub(crate) fn nonzero_pages(pieces: &[Piece<'_>], page_size: HostPageSize) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for piece in pieces {
        let mut rest = piece.data;
        let mut addr = piece.addr;
        while !rest.is_empty() {
            let page = page_size.page_of(addr);
            // From `addr` to the end of its page: never 0, at most 1 GiB.
            let room = page_size
                .bytes()
                .saturating_sub(addr.saturating_sub(page_size.round_down(addr)));
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let (here, after) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            let end = page.saturating_add(1);
            match ranges.last_mut() {
                Some(last) if last.end == end => {} // known to be non-zero
                Some(last) if last.end == page => {
                    if is_nonzero(here) {
                        last.end = end;
                    }
                }
                _ => {
                    if is_nonzero(here) {
                        ranges.push(page..end);
                    }
                }
            }
            rest = after;
            addr = addr.saturating_add(crate::address::len(here));
        }
    }
    ranges
}

fn is_nonzero(bytes: &[u8]) -> bool {
    // In blocks without an early exit, so that the compiler vectorises the loop.
    let (blocks, tail) = bytes.as_chunks::<64>();
    blocks
        .iter()
        .any(|block| block.iter().fold(0, |all, byte| all | byte) != 0)
        || tail.iter().any(|byte| *byte != 0)
}

/// Joins page ranges across gaps of at most `max_gap` bytes, then across the
/// smallest gaps until at most `max_runs` ranges are left.
pub(crate) fn join(
    ranges: &[Range<u64>],
    page_size: HostPageSize,
    max_gap: u64,
    max_runs: usize,
) -> Vec<Range<u64>> {
    let max_gap_pages = page_size.page_of(max_gap);
    let joined = join_at_most(ranges, max_gap_pages);
    let Some(surplus) = joined
        .len()
        .checked_sub(max_runs)
        .filter(|surplus| *surplus != 0)
    else {
        return joined;
    };
    let mut gaps: Vec<u64> = joined.array_windows().map(gap).collect();
    // The widest gap that must be closed, and how many of that width must be.
    let (smaller, &mut widest, _) = match gaps.len() {
        0 => return joined,
        n => gaps.select_nth_unstable(surplus.saturating_sub(1).min(n.saturating_sub(1))),
    };
    let n_smaller = smaller.iter().filter(|gap| **gap < widest).count();
    let mut n_widest = surplus.saturating_sub(n_smaller);
    let mut runs: Vec<Range<u64>> = Vec::new();
    for range in joined {
        let close = runs.last().map(|last| range.start.saturating_sub(last.end));
        match (close, runs.last_mut()) {
            (Some(gap), Some(last)) if gap < widest || (gap == widest && 0 < n_widest) => {
                if gap == widest {
                    n_widest = n_widest.saturating_sub(1);
                }
                last.end = range.end;
            }
            _ => runs.push(range),
        }
    }
    runs
}

fn gap([a, b]: &[Range<u64>; 2]) -> u64 {
    b.start.saturating_sub(a.end)
}

fn join_at_most(ranges: &[Range<u64>], max_gap_pages: u64) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start.saturating_sub(last.end) <= max_gap_pages => {
                last.end = range.end;
            }
            _ => joined.push(range.clone()),
        }
    }
    joined
}

/// Converts pages to bytes. `None` if a run would end at 2⁶⁴ or above.
pub(crate) fn to_runs(pages: &[Range<u64>], page_size: HostPageSize) -> Option<Vec<Run>> {
    pages
        .iter()
        .map(|pages| {
            let addr = pages.start.checked_mul(page_size.bytes())?;
            let len = pages
                .end
                .checked_sub(pages.start)?
                .checked_mul(page_size.bytes())?;
            addr.checked_add(len)?;
            Some(Run { addr, len })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Policy;

    const PAGE: u64 = 8;

    fn page_size() -> HostPageSize {
        HostPageSize::new(PAGE).unwrap()
    }

    proptest! {
        #[test]
        fn pages_match_a_byte_map(
            bytes in prop::collection::vec(prop::bool::weighted(0.1), 0..200),
            cuts in prop::collection::vec(0_usize..200, 0..6),
            at in 0_u64..20,
        ) {
            let bytes: Vec<u8> = bytes.into_iter().map(u8::from).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < bytes.len()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            cuts.dedup();
            let pieces: Vec<Piece<'_>> = cuts
                .array_windows()
                .map(|&[from, to]| Piece { addr: at + from as u64, data: &bytes[from..to] })
                .collect();

            let got = nonzero_pages(&pieces, page_size());
            prop_assert!(got.is_sorted_by(|a, b| a.end < b.start));
            for page in 0..40 {
                let expected = (page * PAGE..(page + 1) * PAGE).any(|addr| {
                    let nth = addr.checked_sub(at).and_then(|nth| usize::try_from(nth).ok());
                    nth.and_then(|nth| bytes.get(nth)).is_some_and(|byte| *byte != 0)
                });
                prop_assert_eq!(got.iter().any(|it| it.contains(&page)), expected, "page {}", page);
            }
        }

        #[test]
        fn joining_covers_all_ranges_and_bounds_the_runs(
            lens in prop::collection::vec((1_u64..4, 1_u64..6), 0..20),
            max_gap in 0_u64..40,
            max_runs in 1_usize..8,
        ) {
            let mut ranges = Vec::new();
            let mut at = 0;
            for (gap, len) in lens {
                ranges.push(at + gap..at + gap + len);
                at += gap + len;
            }
            let runs = join(&ranges, page_size(), max_gap, max_runs);
            // No more is joined than has to be.
            let n_wide = ranges.array_windows().filter(|it| max_gap < gap(it) * PAGE).count();
            let n_apart = if ranges.is_empty() { 0 } else { n_wide + 1 };
            prop_assert_eq!(runs.len(), n_apart.min(max_runs));
            let covered = |it: &Range<u64>| {
                runs.iter().any(|run| run.start <= it.start && it.end <= run.end)
            };
            prop_assert!(ranges.iter().all(covered));
            // Every run begins and ends with a range, and no gap between runs is one
            // that `max_gap` would have closed.
            let tight = |run: &Range<u64>| {
                ranges.iter().any(|it| it.start == run.start)
                    && ranges.iter().any(|it| it.end == run.end)
            };
            prop_assert!(runs.iter().all(tight));
            prop_assert!(runs.array_windows().all(|it| max_gap < gap(it) * PAGE));
            // Only the narrowest gaps are closed: none is wider than a gap that is kept.
            let widest_closed = ranges.array_windows().map(gap)
                .filter(|closed| !runs.array_windows().map(gap).any(|kept| kept == *closed))
                .max().unwrap_or(0);
            let narrowest_kept = runs.array_windows().map(gap).min().unwrap_or(u64::MAX);
            prop_assert!(widest_closed < narrowest_kept || widest_closed * PAGE <= max_gap);
        }
    }

    #[test]
    fn one_run_more_than_the_default_is_joined() {
        let max_runs = Policy::default().max_runs();
        for (n, n_runs) in [(1024, 1024), (1025, 1024)] {
            let ranges: Vec<_> = (0..n).map(|nth| 9 * nth..9 * nth + 1).collect();
            assert_eq!(join(&ranges, page_size(), 0, max_runs).len(), n_runs);
        }
    }

    /// Bytes are read in blocks of 64, and those of a block must not cancel out.
    #[test]
    fn a_byte_anywhere_in_a_block_counts() {
        let data = |nonzero: &[usize]| {
            let mut data = [0_u8; 200];
            for at in nonzero {
                data[*at] = 0x80;
            }
            data
        };
        assert!(!is_nonzero(&data(&[])));
        for at in 0..200 {
            assert!(is_nonzero(&data(&[at])), "{at}");
            assert!(is_nonzero(&data(&[at, (at + 1) % 64])), "{at}");
        }
    }

    #[test]
    fn runs_are_whole_pages() {
        let runs = to_runs(&[1..3, 4..5], page_size());
        let expected = [Run { addr: 8, len: 16 }, Run { addr: 32, len: 8 }];
        assert_eq!(runs, Some(expected.to_vec()));
        assert_eq!(expected.map(|it| it.end()), [24, 40]);
        let last = u64::MAX / PAGE;
        let one = |page: u64| to_runs(core::slice::from_ref(&(page..page + 1)), page_size());
        assert_eq!(one(last), None);
        assert!(one(last - 1).is_some());
    }
}
