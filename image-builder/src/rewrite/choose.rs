//! Candidate lists of segments for each objective.

use alloc::vec;
use alloc::vec::Vec;

use super::cover::{Cover, encoded_len, n_segments};
use super::join::{ALWAYS_ALLOWED, NARROW, densify, is_dense, join_narrow, join_to, span};
use super::limit::limit_segments;
use super::options::PackFor;

/// Constraints on the segments that are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) objective: PackFor,
    /// The desired maximum number of segments.
    pub(super) max_segments: usize,
    /// Whether the encoding may grow to reach that number.
    pub(super) may_grow: bool,
    /// Length in bytes of the encoding that they replace.
    pub(super) bytes: u64,
}

impl Bounds {
    /// The maximum growth of any rewrite, which keeps the output linear in the input.
    const fn doubled(self) -> u64 {
        self.bytes.saturating_mul(2)
    }

    /// The maximum length of the encoding when the number of segments is limited.
    const fn limit_bytes(self) -> u64 {
        if self.may_grow {
            self.doubled()
        } else {
            self.bytes
        }
    }
}

/// Gap widths in bytes to try when the compressed size counts. How well zeros and headers
/// compress depends on the surrounding bytes.
const COMPRESSED_GAPS: [u64; 3] = [64, NARROW, 8 * NARROW];

/// Returns the candidate lists. `covers` are the shortest encodings; `was_dense` tells which
/// memories are so dense that an engine creates images of any size.
pub(super) fn candidates(
    covers: Vec<Cover>,
    was_dense: &[bool],
    bounds: &Bounds,
) -> Vec<Vec<Cover>> {
    let joined = |max_gap, max_bytes| {
        let covers = join_narrow(&covers, max_gap, max_bytes);
        constrained(covers, was_dense, bounds)
    };
    match bounds.objective {
        PackFor::Size => vec![limit_segments(
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

/// Limits the number of segments, and keeps memories dense that were dense before.
fn constrained(covers: Vec<Cover>, was_dense: &[bool], bounds: &Bounds) -> Vec<Cover> {
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

/// Makes covers dense enough for an engine's image, as far as the total encoding does not
/// exceed `max_bytes`.
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
