//! Decides how an image is placed in a slot: which parts are mapped, and which runs are
//! copied.
//!
//! Only parts that hold data are mapped. A hole of the image's file that is mapped along
//! with them costs memory once it is read (one page of the file for each page read,
//! shared by all slots and freed with the image). A hole that is not mapped costs another
//! mapping in each slot: about 4 µs at its first start, 2 µs when it is dropped, and two
//! of the process's mappings (`vm.max_map_count`). So leading and trailing holes are
//! never mapped, small ones always, and those of 1 MiB or more only if the slot may have
//! no more mappings.
//!
//! The total size of mapped holes is limited to four times the data, or 16 MiB. If an
//! image is so sparse that neither limit can be kept, parts of it are copied at the
//! start, the smallest ones first.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use crate::sys::Storage;

/// Holes up to this many bytes are always mapped.
const SMALL_HOLE: usize = 4 * 4096;

/// Holes of at least this many bytes are mapped only where mappings are scarce.
const LARGE_HOLE: usize = 1 << 20;

/// The total size of mapped holes that is always allowed, in bytes.
const HOLES: usize = 16 << 20;

/// The total size of mapped holes that is allowed, as a multiple of the data.
const HOLES_PER_DATA: usize = 4;

/// The most pieces that an image is mapped in.
pub(crate) const MAX_PIECES: usize = 64;

/// A run, and its position in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredRun {
    /// Address in the memory.
    pub(crate) at: usize,
    /// Length in bytes.
    pub(crate) len: usize,
    /// Position in the bytes of the source.
    pub(crate) stored: usize,
}

impl StoredRun {
    pub(crate) const fn end(&self) -> usize {
        self.at + self.len
    }
}

/// A part of a file that is mapped at an address; all fields are multiples of the host
/// page, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) at: usize,
    pub(crate) len: usize,
    /// Position in the bytes of the source.
    pub(crate) stored: usize,
}

impl Piece {
    pub(crate) const fn addresses(&self) -> Range<usize> {
        self.at..self.at + self.len
    }
}

/// How one image is placed in slots that may map it in a given number of pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    // Invariant: both are in address order and disjoint.
    pub(crate) pieces: Box<[Piece]>,
    pub(crate) copied: Box<[StoredRun]>,
    /// Size in bytes of the pages that `copied` touches.
    pub(crate) copied_bytes: usize,
}

/// Runs that are mapped together, and the total size of their data.
#[derive(Clone, Debug)]
struct Cluster {
    runs: Range<usize>,
    data: usize,
}

impl Placement {
    /// Places runs, given in address order, in at most 1, 2, 4, … pieces, as long as more
    /// pieces make a difference.
    pub(crate) fn all(runs: &[StoredRun], storage: Storage, page: usize) -> Box<[Self]> {
        let mut placements = Vec::new();
        let mut max_pieces = 1;
        while max_pieces <= MAX_PIECES {
            let placement = Self::new(runs, storage, max_pieces, page);
            let n_pieces = placement.pieces.len();
            placements.push(placement);
            if n_pieces < max_pieces {
                break;
            }
            max_pieces *= 2;
        }
        placements.into()
    }

    /// Places runs, given in address order, in at most `max_pieces` pieces.
    fn new(runs: &[StoredRun], storage: Storage, max_pieces: usize, page: usize) -> Self {
        let clusters = match storage {
            Storage::Heap => Vec::new(),
            Storage::Packed => cut(runs, |_| true),
            Storage::Sparse => join(runs, max_pieces, page),
        };
        let mapped = largest(&clusters, max_pieces);
        let mut pieces = Vec::with_capacity(max_pieces.min(clusters.len()));
        let mut copied = Vec::new();
        let mut next = 0;
        for (cluster, _) in clusters.iter().zip(&mapped).filter(|(_, is)| **is) {
            copied.extend_from_slice(&runs[next..cluster.runs.start]);
            next = cluster.runs.end;
            let (first, last) = (runs[cluster.runs.start], runs[cluster.runs.end - 1]);
            let at = first.at / page * page;
            pieces.push(Piece {
                at,
                len: last.end().next_multiple_of(page) - at,
                stored: first.stored - (first.at - at),
            });
        }
        copied.extend_from_slice(&runs[next..]);
        Self {
            pieces: pieces.into(),
            copied_bytes: pages_of(&copied, page).map(|range| range.len()).sum(),
            copied: copied.into(),
        }
    }

    /// Returns one past the last address that is mapped or copied.
    pub(crate) fn end(&self) -> usize {
        let pieces = self.pieces.last().map_or(0, |it| it.addresses().end);
        self.copied.last().map_or(0, StoredRun::end).max(pieces)
    }

    /// Returns the copied runs with bytes in `addresses`.
    pub(crate) fn copied_in(&self, addresses: &Range<usize>) -> &[StoredRun] {
        let first = self
            .copied
            .partition_point(|run| run.end() <= addresses.start);
        let n = self.copied[first..].partition_point(|run| run.at < addresses.end);
        &self.copied[first..first + n]
    }
}

/// Returns the host pages of runs, which are in address order. Each page is returned
/// once, even if several runs share it.
pub(crate) fn pages_of(runs: &[StoredRun], page: usize) -> impl Iterator<Item = Range<usize>> {
    let mut done = 0;
    runs.iter().map(move |run| {
        let end = run.end().next_multiple_of(page);
        let start = (run.at / page * page).max(done).min(end);
        done = end;
        start..end
    })
}

/// Returns the size in bytes of the whole host pages between run `after` and the next
/// one.
fn hole(runs: &[StoredRun], after: usize, page: usize) -> usize {
    let start = runs[after].end().next_multiple_of(page);
    (runs[after + 1].at / page * page).saturating_sub(start)
}

/// Splits runs into clusters, which end after each run for which `is_cut` returns true.
fn cut(runs: &[StoredRun], is_cut: impl Fn(usize) -> bool) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for (nth, run) in runs.iter().enumerate() {
        match clusters.last_mut() {
            Some(last) if !is_cut(nth - 1) => {
                last.runs.end = nth + 1;
                last.data += run.len;
            }
            _ => clusters.push(Cluster {
                runs: nth..nth + 1,
                data: run.len,
            }),
        }
    }
    clusters
}

/// Joins runs into clusters, over the smallest holes first.
fn join(runs: &[StoredRun], max_pieces: usize, page: usize) -> Vec<Cluster> {
    let n_gaps = runs.len().saturating_sub(1);
    let mut gaps: Vec<(usize, usize)> = (0..n_gaps)
        .map(|after| (hole(runs, after, page), after))
        .collect();
    gaps.sort_unstable();
    let data: usize = runs.iter().map(|run| run.len).sum();
    let allowed = HOLES.max(data.saturating_mul(HOLES_PER_DATA));
    let mut is_joined = alloc::vec![false; n_gaps];
    let mut holes: usize = 0;
    let mut n_clusters = runs.len();
    for (bytes, after) in gaps {
        let is_wanted = bytes < LARGE_HOLE || max_pieces < n_clusters;
        let is_allowed = bytes <= SMALL_HOLE || holes.saturating_add(bytes) <= allowed;
        if !is_wanted || !is_allowed {
            break;
        }
        holes += bytes;
        is_joined[after] = true;
        n_clusters -= 1;
    }
    cut(runs, |after| !is_joined[after])
}

/// Returns which clusters are among the `max` with the most data.
fn largest(clusters: &[Cluster], max: usize) -> Vec<bool> {
    let mut is_mapped = alloc::vec![clusters.len() <= max; clusters.len()];
    if max < clusters.len() {
        let mut by_data: Vec<usize> = (0..clusters.len()).collect();
        by_data.sort_by_key(|nth| core::cmp::Reverse(clusters[*nth].data));
        for nth in by_data.into_iter().take(max) {
            is_mapped[nth] = true;
        }
    }
    is_mapped
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    use proptest::prelude::*;

    const PAGE: usize = 4096;

    /// Returns runs of whole pages, from pairs of the pages of hole before each and the
    /// pages of data in it.
    fn runs(lens: &[(usize, usize)], is_whole: bool) -> Vec<StoredRun> {
        let (mut at, mut stored) = (0, 0);
        lens.iter()
            .map(|(hole, len)| {
                at += hole * PAGE;
                let run = StoredRun {
                    at,
                    len: len * PAGE,
                    stored: if is_whole { at } else { stored },
                };
                at = run.end();
                stored += run.len;
                run
            })
            .collect()
    }

    /// Checks that every data page is mapped or copied exactly once, from where it is
    /// stored.
    fn check(runs: &[StoredRun], storage: Storage, max_pieces: usize) -> Placement {
        let placed = Placement::new(runs, storage, max_pieces, PAGE);
        assert!(placed.pieces.len() <= max_pieces);
        let mut n_copied = 0;
        for run in runs {
            let is_copied = placed.copied.contains(run);
            let pieces = placed.pieces.iter();
            let of_run: Vec<_> = pieces
                .filter(|it| it.at <= run.at && run.end() <= it.addresses().end)
                .collect();
            assert_eq!(of_run.len() + usize::from(is_copied), 1, "{run:?}");
            if let [piece] = of_run[..] {
                assert_eq!(piece.stored + (run.at - piece.at), run.stored);
            }
            n_copied += usize::from(is_copied);
            // Not the runs that touch it.
            for addresses in [run.at..run.at + 1, run.at..run.end()] {
                let overlapping = placed.copied_in(&addresses);
                assert_eq!(overlapping.len(), usize::from(is_copied));
            }
        }
        assert_eq!(placed.copied.len(), n_copied);
        let ends = runs.last().map_or(0, StoredRun::end);
        assert_eq!(placed.end(), ends);
        placed
    }

    fn holes(placed: &Placement, runs: &[StoredRun]) -> usize {
        let mapped: usize = placed.pieces.iter().map(|it| it.len).sum();
        let is_mapped = |run: &&StoredRun| !placed.copied.contains(run);
        mapped
            - runs
                .iter()
                .filter(is_mapped)
                .map(|it| it.len)
                .sum::<usize>()
    }

    proptest! {
        #[test]
        fn every_page_of_data_is_mapped_or_copied_and_holes_are_bounded(
            lens in prop::collection::vec(
                (prop_oneof![0_usize..5, 200_usize..300, 1000_usize..9000], 1_usize..20),
                0..40,
            ),
            max_pieces in 1_usize..=MAX_PIECES,
        ) {
            let whole = runs(&lens, true);
            let placed = check(&whole, Storage::Sparse, max_pieces);
            let data: usize = whole.iter().map(|run| run.len).sum();
            let small: usize = SMALL_HOLE * whole.len();
            prop_assert!(holes(&placed, &whole) <= HOLES.max(4 * data) + small);
            let apart = runs(&lens, false);
            check(&apart, Storage::Packed, max_pieces);
            let heap = check(&apart, Storage::Heap, max_pieces);
            prop_assert_eq!(heap.copied.len(), apart.len());
        }
    }

    #[test]
    fn neither_outer_holes_nor_large_inner_ones_are_mapped() {
        let large = LARGE_HOLE / PAGE;
        let stack_then_data = runs(&[(256, 3)], true);
        let placed = check(&stack_then_data, Storage::Sparse, 1);
        assert_eq!(
            placed.pieces[..],
            [Piece {
                at: 256 * PAGE,
                len: 3 * PAGE,
                stored: 256 * PAGE
            }]
        );

        let two = runs(&[(0, 1), (large, 1)], true);
        assert_eq!(check(&two, Storage::Sparse, 8).pieces.len(), 2);
        assert_eq!(holes(&check(&two, Storage::Sparse, 8), &two), 0);
        // With a single mapping allowed, the hole is mapped too.
        assert_eq!(check(&two, Storage::Sparse, 1).pieces.len(), 1);
        let near = runs(&[(0, 1), (large - 1, 1)], true);
        assert_eq!(check(&near, Storage::Sparse, 8).pieces.len(), 1);
    }

    #[test]
    fn an_image_too_sparse_to_map_is_copied() {
        // A page of data every 64 MiB.
        let islands = runs(&vec![(16384, 1); 100], true);
        let placed = check(&islands, Storage::Sparse, 8);
        assert_eq!((placed.pieces.len(), placed.copied.len()), (8, 92));
        assert_eq!(placed.copied_bytes, 92 * PAGE);
        assert_eq!(holes(&placed, &islands), 0);
    }

    #[test]
    fn pieces_begin_at_host_pages_larger_than_the_image_s() {
        let page = 4 * PAGE;
        let runs = [
            StoredRun {
                at: PAGE,
                len: PAGE,
                stored: PAGE,
            },
            StoredRun {
                at: 3 * PAGE,
                len: 2 * PAGE,
                stored: 3 * PAGE,
            },
        ];
        let placed = Placement::new(&runs, Storage::Sparse, 8, page);
        assert_eq!(
            placed.pieces[..],
            [Piece {
                at: 0,
                len: 2 * page,
                stored: 0
            }]
        );
    }
}
