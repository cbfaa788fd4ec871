//! From visible bytes to runs: the page-aligned stretches of an image.

use alloc::vec::Vec;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::HostPageSize;
use crate::visible::Piece;

/// One page-aligned, contiguous stretch of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The address of its first byte: a multiple of the host page size.
    pub offset: u64,
    /// Its length in bytes: a multiple of the host page size, never 0.
    pub len: u64,
}

impl Run {
    /// The address behind its last byte; saturates at 2⁶⁴ - 1, where only the last
    /// page of a 64-bit memory ends.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// The stretches of host pages that hold a byte other than zero, in order.
///
/// Each byte is looked at once at most: a page that is known to be non-zero is left.
pub(crate) fn nonzero_pages(pieces: &[Piece<'_>], page_size: HostPageSize) -> Vec<Range<u64>> {
    let mut stretches: Vec<Range<u64>> = Vec::new();
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
            let (here, behind) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            let end = page.saturating_add(1);
            match stretches.last_mut() {
                Some(last) if last.end == end => {} // known to be non-zero
                Some(last) if last.end == page => {
                    if is_nonzero(here) {
                        last.end = end;
                    }
                }
                _ => {
                    if is_nonzero(here) {
                        stretches.push(page..end);
                    }
                }
            }
            rest = behind;
            addr = addr.saturating_add(crate::initialization::len(here));
        }
    }
    stretches
}

fn is_nonzero(bytes: &[u8]) -> bool {
    // In blocks without an early exit, which the compiler turns into vector code.
    let (blocks, tail) = bytes.as_chunks::<64>();
    blocks
        .iter()
        .any(|block| block.iter().fold(0, |all, byte| all | byte) != 0)
        || tail.iter().any(|byte| *byte != 0)
}

/// Joins stretches of pages over gaps of at most `max_gap` bytes, then over the
/// smallest gaps until at most `max_runs` are left.
pub(crate) fn join(
    stretches: &[Range<u64>],
    page_size: HostPageSize,
    max_gap: u64,
    max_runs: usize,
) -> Vec<Range<u64>> {
    let max_gap_pages = page_size.page_of(max_gap);
    let joined = join_at_most(stretches, max_gap_pages);
    let Some(surplus) = joined
        .len()
        .checked_sub(max_runs)
        .filter(|surplus| *surplus != 0)
    else {
        return joined;
    };
    let mut gaps: Vec<u64> = joined.array_windows().map(gap).collect();
    // The largest of the gaps that must go, and how many of that size must.
    let (smaller, &mut widest, _) = match gaps.len() {
        0 => return joined,
        n => gaps.select_nth_unstable(surplus.saturating_sub(1).min(n.saturating_sub(1))),
    };
    let n_smaller = smaller.iter().filter(|gap| **gap < widest).count();
    let mut n_widest = surplus.saturating_sub(n_smaller);
    let mut runs: Vec<Range<u64>> = Vec::new();
    for stretch in joined {
        let close = runs
            .last()
            .map(|last| stretch.start.saturating_sub(last.end));
        match (close, runs.last_mut()) {
            (Some(gap), Some(last)) if gap < widest || (gap == widest && 0 < n_widest) => {
                if gap == widest {
                    n_widest = n_widest.saturating_sub(1);
                }
                last.end = stretch.end;
            }
            _ => runs.push(stretch),
        }
    }
    runs
}

fn gap([a, b]: &[Range<u64>; 2]) -> u64 {
    b.start.saturating_sub(a.end)
}

fn join_at_most(stretches: &[Range<u64>], max_gap_pages: u64) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for stretch in stretches {
        match joined.last_mut() {
            Some(last) if stretch.start.saturating_sub(last.end) <= max_gap_pages => {
                last.end = stretch.end;
            }
            _ => joined.push(stretch.clone()),
        }
    }
    joined
}

/// Pages to bytes; `None` where a run would end behind the last address.
pub(crate) fn to_runs(pages: &[Range<u64>], page_size: HostPageSize) -> Option<Vec<Run>> {
    pages
        .iter()
        .map(|pages| {
            let offset = pages.start.checked_mul(page_size.bytes())?;
            let len = pages
                .end
                .checked_sub(pages.start)?
                .checked_mul(page_size.bytes())?;
            offset.checked_add(len)?;
            Some(Run { offset, len })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: u64 = 8;

    fn page_size() -> HostPageSize {
        HostPageSize::new(PAGE).unwrap()
    }

    proptest! {
        #[test]
        fn pages_are_those_of_a_byte_map(
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
        fn joining_keeps_all_and_bounds_the_runs(
            lens in prop::collection::vec((1_u64..4, 1_u64..6), 0..20),
            max_gap in 0_u64..40,
            max_runs in 1_usize..8,
        ) {
            let mut stretches = Vec::new();
            let mut at = 0;
            for (gap, len) in lens {
                stretches.push(at + gap..at + gap + len);
                at += gap + len;
            }
            let runs = join(&stretches, page_size(), max_gap, max_runs);
            prop_assert!(runs.len() <= max_runs);
            let covered = |it: &Range<u64>| {
                runs.iter().any(|run| run.start <= it.start && it.end <= run.end)
            };
            prop_assert!(stretches.iter().all(covered));
            // Every run begins and ends with a stretch, and no gap between runs is one
            // that `max_gap` would have closed.
            let tight = |run: &Range<u64>| {
                stretches.iter().any(|it| it.start == run.start)
                    && stretches.iter().any(|it| it.end == run.end)
            };
            prop_assert!(runs.iter().all(tight));
            prop_assert!(runs.array_windows().all(|it| max_gap < gap(it) * PAGE));
            // Joined is only what must be: the gaps that went are not wider than those that stay.
            let widest_gone = stretches.array_windows().map(gap)
                .filter(|gone| !runs.array_windows().map(gap).any(|kept| kept == *gone))
                .max().unwrap_or(0);
            let narrowest_kept = runs.array_windows().map(gap).min().unwrap_or(u64::MAX);
            prop_assert!(widest_gone < narrowest_kept || widest_gone * PAGE <= max_gap);
        }
    }
}
