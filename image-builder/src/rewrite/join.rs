//! Joins segments across the cheapest gaps, within a byte limit.

use alloc::vec::Vec;

use super::cover::{Cover, encoded_len, n_segments};

/// Gaps up to this many bytes are joined when the raw size is not the objective.
///
/// Compressed, their zeros take as much as a segment's header: about 6 bytes. Copying them at
/// instantiation takes about as long as an engine takes for a few segments (`docs/pack.md`).
pub(super) const NARROW: u64 = 1024;

/// Engines create images below this size regardless of density: wasmtime's default
/// `memory_guaranteed_dense_image_size`, the largest documented by any engine.
pub(super) const ALWAYS_ALLOWED: u64 = 16 << 20;

/// The gaps between the segments of all memories, cheapest first.
pub(super) struct Joins<'c> {
    covers: &'c [Cover],
    /// Bytes that closing each gap adds to the encoding, in ascending order.
    costs: Vec<i128>,
    /// For each pair of neighbours, the index of its gap in `costs`.
    ranks: Vec<usize>,
}

impl<'c> Joins<'c> {
    pub(super) fn new(covers: &'c [Cover]) -> Self {
        let gaps: Vec<Option<i128>> = covers.iter().flat_map(Cover::joins).collect();
        let mut order: Vec<(i128, usize)> = gaps
            .iter()
            .enumerate()
            .filter_map(|(nth, cost)| Some(((*cost)?, nth)))
            .collect();
        order.sort_unstable();
        let mut ranks = alloc::vec![usize::MAX; gaps.len()];
        for (rank, (_, nth)) in order.iter().enumerate() {
            if let Some(slot) = ranks.get_mut(*nth) {
                *slot = rank;
            }
        }
        let costs = order.into_iter().map(|(cost, _)| cost).collect();
        Self {
            covers,
            costs,
            ranks,
        }
    }

    /// Returns the number of gaps that may be closed.
    pub(super) fn len(&self) -> usize {
        self.costs.len()
    }

    /// Returns how many joins leave at most `max_segments` segments, or the number of all joins.
    pub(super) fn n_for(&self, max_segments: usize) -> usize {
        let excess = n_segments(self.covers).saturating_sub(max_segments);
        excess.min(self.len())
    }

    /// Returns how many joins add at most `max_cost` bytes each.
    pub(super) fn n_narrow(&self, max_cost: u64) -> usize {
        let max_cost = i128::from(max_cost);
        self.costs.partition_point(|cost| *cost <= max_cost)
    }

    /// Returns the covers after the `n` cheapest joins.
    pub(super) fn first(&self, n: usize) -> Vec<Cover> {
        let mut ranks = self.ranks.iter();
        let mut is_joined = || ranks.next().is_some_and(|rank| *rank < n);
        let covers = self.covers.iter();
        covers.map(|it| it.joined(&mut is_joined)).collect()
    }

    /// Returns the largest number of joins, at most `n`, after which the encoding does not
    /// exceed `max_bytes`; 0 if it always does.
    pub(super) fn n_fitting(&self, n: usize, max_bytes: u64) -> usize {
        let (mut fitting, mut above) = (0_usize, n.min(self.len()).saturating_add(1));
        while fitting.saturating_add(1) < above {
            let middle = fitting.midpoint(above);
            if encoded_len(&self.first(middle)) <= max_bytes {
                fitting = middle;
            } else {
                above = middle;
            }
        }
        fitting
    }
}

/// Joins across the cheapest gaps until at most `max_segments` are left, or until the
/// encoding would exceed `max_bytes`.
pub(super) fn join_to(covers: &[Cover], max_segments: usize, max_bytes: u64) -> Vec<Cover> {
    let joins = Joins::new(covers);
    joins.first(joins.n_fitting(joins.n_for(max_segments), max_bytes))
}

/// Joins across gaps that add at most `max_cost` bytes each, cheapest first, until the
/// encoding would exceed `max_bytes`.
pub(super) fn join_narrow(covers: &[Cover], max_cost: u64, max_bytes: u64) -> Vec<Cover> {
    let joins = Joins::new(covers);
    joins.first(joins.n_fitting(joins.n_narrow(max_cost), max_bytes))
}

/// Joins one memory's segments across the cheapest gaps until they fill more than half
/// of their span. Joining all of them always suffices.
pub(super) fn densify(cover: Cover) -> Cover {
    if is_dense(&cover) {
        return cover;
    }
    let covers = [cover];
    let joins = Joins::new(&covers);
    let dense = |n| joins.first(n).iter().all(is_dense);
    let (mut sparse, mut enough) = (0_usize, joins.len());
    while sparse.saturating_add(1) < enough {
        let middle = sparse.midpoint(enough);
        if dense(middle) {
            enough = middle;
        } else {
            sparse = middle;
        }
    }
    let joined = joins.first(enough).pop();
    let [cover] = covers;
    joined.unwrap_or(cover)
}

/// Returns whether segments fill more than half of their span, wasmtime's rule for images of
/// any size.
pub(super) fn is_dense(cover: &Cover) -> bool {
    let data = cover.spans.iter().map(|it| it.len());
    let data = data.fold(0, u64::saturating_add);
    let span = span(cover);
    span == 0 || span < data.saturating_mul(2)
}

/// Returns the distance in bytes from the start of the first segment to the end of the last.
pub(super) fn span(cover: &Cover) -> u64 {
    match (cover.spans.first(), cover.spans.last()) {
        (Some(first), Some(last)) => last.end.saturating_sub(first.start),
        _ => 0,
    }
}
