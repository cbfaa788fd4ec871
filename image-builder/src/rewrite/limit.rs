//! Limits the number of segments at the least cost.

use alloc::vec::Vec;

use super::cover::{Cover, encoded_len, n_segments};
use super::join::join_to;
use super::optimum::PARTS;

/// Joins segments until at most `max_segments` are left, or until the encoding would exceed
/// `max_bytes`.
///
/// For any weight per segment, the result is optimal for its number of segments. But not
/// every number can be reached this way, because thousands of joins may cost the same. So a
/// binary search finds the weights around the desired number, surplus segments are joined
/// across the cheapest gaps, and the best of these few lists is returned.
pub(super) fn limit_segments(
    covers: Vec<Cover>,
    max_segments: usize,
    max_bytes: u64,
) -> Vec<Cover> {
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
