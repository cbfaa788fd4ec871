//! The lists of segments that an objective may be best served by.

use alloc::vec;
use alloc::vec::Vec;

use super::cover::{self, Cover, encoded_len, n_segments};
use super::join::{ALWAYS_ALLOWED, NARROW, densify, is_dense, join_narrow, join_to, span};
use super::options::PackFor;

/// What the segments that are written must keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) objective: PackFor,
    /// How many they should be at most.
    pub(super) max_segments: usize,
    /// Whether the encoding may grow to get there.
    pub(super) may_grow: bool,
    /// Bytes of the encoding that they replace.
    pub(super) bytes: u64,
}

impl Bounds {
    /// How far any rewrite may grow: what it writes is in proportion to what it reads.
    const fn doubled(self) -> u64 {
        self.bytes.saturating_mul(2)
    }

    /// How large the encoding may get by keeping to the number of segments.
    const fn limit_bytes(self) -> u64 {
        if self.may_grow {
            self.doubled()
        } else {
            self.bytes
        }
    }
}

/// Gaps worth joining if compressed bytes count, in bytes: how well zeros and headers
/// compress depends on what is around them, so each is tried.
const COMPRESSED_GAPS: [u64; 3] = [64, NARROW, 8 * NARROW];

/// The lists to choose from; `covers` are the shortest encodings, and `was_dense` says of
/// which memories an engine makes an image of any size.
pub(super) fn candidates(
    covers: Vec<Cover>,
    was_dense: &[bool],
    bounds: &Bounds,
) -> Vec<Vec<Cover>> {
    let joined = |max_gap, max_bytes| {
        let covers = join_narrow(&covers, max_gap, max_bytes);
        kept(covers, was_dense, bounds)
    };
    match bounds.objective {
        PackFor::Size => vec![cover::limit(
            covers,
            bounds.max_segments,
            bounds.limit_bytes(),
        )],
        PackFor::Balanced => vec![joined(NARROW, bounds.bytes)],
        PackFor::Compressed => COMPRESSED_GAPS
            .map(|gap| joined(gap, bounds.doubled()))
            .into(),
        PackFor::Start => {
            let covers = joined(NARROW, bounds.doubled());
            vec![with_image(covers, bounds.doubled())]
        }
    }
}

/// The same covers with no more segments than allowed, and dense where they were.
fn kept(covers: Vec<Cover>, was_dense: &[bool], bounds: &Bounds) -> Vec<Cover> {
    let covers = if bounds.max_segments < n_segments(&covers) {
        let max_bytes = bounds.limit_bytes().max(encoded_len(&covers));
        join_to(&covers, bounds.max_segments, max_bytes)
    } else {
        covers
    };
    let covers = covers.into_iter().zip(was_dense);
    covers
        .map(|(cover, was_dense)| if *was_dense { densify(cover) } else { cover })
        .collect()
}

/// The same covers, each dense enough for an engine's image where that takes no more
/// than so many bytes together.
pub(super) fn with_image(mut covers: Vec<Cover>, max_bytes: u64) -> Vec<Cover> {
    let mut bytes = encoded_len(&covers);
    for cover in &mut covers {
        if span(cover) < ALWAYS_ALLOWED || is_dense(cover) {
            continue;
        }
        let before = encoded_len(core::slice::from_ref(cover));
        let dense = densify(cover.clone());
        let after = encoded_len(core::slice::from_ref(&dense));
        let total = bytes.saturating_sub(before).saturating_add(after);
        if total <= max_bytes {
            bytes = total;
            *cover = dense;
        }
    }
    covers
}
