//! Segments joined across the cheapest gaps, as far as bytes allow.

use alloc::vec::Vec;

use super::cover::{Cover, encoded_len, n_segments};

/// A gap this narrow is joined where raw bytes are not what counts.
///
/// Its zeros cost what a segment's header costs after compression: about 6 bytes. A start
/// copies them in about the time that an engine takes for some segments (`docs/pack.md`).
pub(super) const NARROW: u64 = 1024;

/// Images below this size are made by engines whatever their density: wasmtime's default
/// `memory_guaranteed_dense_image_size`, the largest of those that engines publish.
pub(super) const ALWAYS_ALLOWED: u64 = 16 << 20;

/// The gaps between the segments of all memories, cheapest first.
pub(super) struct Joins<'c> {
    covers: &'c [Cover],
    /// Bytes that each gap adds to the encoding, in rising order.
    costs: Vec<i128>,
    /// For each pair of neighbours, the place of its gap in `costs`.
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

    /// How many gaps may be joined.
    pub(super) fn len(&self) -> usize {
        self.costs.len()
    }

    /// How many joins leave at most `max_segments`, or all joins.
    pub(super) fn n_for(&self, max_segments: usize) -> usize {
        let excess = n_segments(self.covers).saturating_sub(max_segments);
        excess.min(self.len())
    }

    /// How many joins add at most that many bytes each.
    pub(super) fn n_narrow(&self, max_cost: u64) -> usize {
        let max_cost = i128::from(max_cost);
        self.costs.partition_point(|cost| *cost <= max_cost)
    }

    /// The covers after the `n` cheapest joins.
    pub(super) fn first(&self, n: usize) -> Vec<Cover> {
        let mut ranks = self.ranks.iter();
        let mut is_joined = || ranks.next().is_some_and(|rank| *rank < n);
        let covers = self.covers.iter();
        covers.map(|it| it.joined(&mut is_joined)).collect()
    }

    /// The largest number of joins, at most `n`, after which the encoding has no more
    /// than `max_bytes`; 0 where it has more in any case.
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

/// Joins across the cheapest gaps until at most `max_segments` are left, as far as the
/// encoding has no more than `max_bytes`.
pub(super) fn join_to(covers: &[Cover], max_segments: usize, max_bytes: u64) -> Vec<Cover> {
    let joins = Joins::new(covers);
    joins.first(joins.n_fitting(joins.n_for(max_segments), max_bytes))
}

/// Joins across gaps that add at most `max_cost` bytes each, cheapest first, as far as
/// the encoding has no more than `max_bytes`.
pub(super) fn join_narrow(covers: &[Cover], max_cost: u64, max_bytes: u64) -> Vec<Cover> {
    let joins = Joins::new(covers);
    joins.first(joins.n_fitting(joins.n_narrow(max_cost), max_bytes))
}

/// Joins one memory's segments across the cheapest gaps until they fill more than half
/// of their span; all of them do.
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

/// Whether segments fill more than half of their span: wasmtime's rule for an image of
/// any size.
pub(super) fn is_dense(cover: &Cover) -> bool {
    let data = cover.stretches.iter().map(|it| it.len());
    let data = data.fold(0, u64::saturating_add);
    let span = span(cover);
    span == 0 || span < data.saturating_mul(2)
}

/// Bytes from the first segment's first byte to the last one's last.
pub(super) fn span(cover: &Cover) -> u64 {
    match (cover.stretches.first(), cover.stretches.last()) {
        (Some(first), Some(last)) => last.end.saturating_sub(first.start),
        _ => 0,
    }
}
