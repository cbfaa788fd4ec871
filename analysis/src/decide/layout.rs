//! The image of one memory: its pages, its runs, and whether the policy accepts it.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::decide::policy::Layout;
use crate::decide::runs::{join, nonzero_pages, to_runs};
use crate::decide::visible::{Piece, visible};
use crate::{Extent, HostPageSize, MemoryType, Policy, Reason, Run};

/// The image of one memory, or why it has none.
pub(crate) struct MemoryLayout<'a> {
    pub(crate) runs: Vec<Run>,
    pub(crate) pieces: Vec<Piece<'a>>,
    pub(crate) written: Written,
    pub(crate) verdict: Result<(), Reason>,
}

/// What segments write to one memory, baked or not.
#[derive(Clone, Copy, Default)]
pub(crate) struct Written {
    pub(crate) extent: Option<Extent>,
    pub(crate) n_nonzero_pages: u64,
}

impl Written {
    /// `segments` are in the order in which they are written.
    pub(crate) fn by(segments: &[Piece<'_>], page_size: HostPageSize) -> Self {
        let pieces = visible(segments);
        Self {
            extent: Extent::of(segments, &pieces),
            n_nonzero_pages: count(&nonzero_pages(&pieces, page_size)),
        }
    }
}

fn count(ranges: &[core::ops::Range<u64>]) -> u64 {
    ranges.iter().fold(0, |sum, it| {
        sum.saturating_add(it.end.saturating_sub(it.start))
    })
}

impl<'a> MemoryLayout<'a> {
    /// `segments` are in the order in which they are written.
    pub(crate) fn of(segments: Vec<Piece<'a>>, ty: MemoryType, policy: &Policy) -> Self {
        let page_size = policy.page_size;
        let pieces = visible(&segments);
        let extent = Extent::of(&segments, &pieces);
        let ranges = nonzero_pages(&pieces, page_size);
        let written = Written {
            extent,
            n_nonzero_pages: count(&ranges),
        };
        let (pages, mut verdict) = match policy.layout {
            Layout::SingleRun {
                max_image_size_always_allowed,
            } => (
                join(&ranges, page_size, 0, 1),
                extent.map_or(Ok(()), |extent| {
                    reference_rule(&extent, ty, page_size, max_image_size_always_allowed)
                }),
            ),
            Layout::Runs { max_gap, max_runs } => {
                (join(&ranges, page_size, max_gap, max_runs), Ok(()))
            }
        };
        let runs = to_runs(&pages, page_size).unwrap_or_else(|| {
            verdict = verdict.and(Err(Reason::TooLarge));
            Vec::new()
        });
        let image_bytes = image_bytes(&runs);
        let limit = policy.max_image_size;
        if limit < image_bytes {
            verdict = verdict.and(Err(Reason::SizeLimit { image_bytes, limit }));
        }
        let changed = match pieces {
            Cow::Borrowed(_) => None,
            Cow::Owned(pieces) => Some(pieces),
        };
        Self {
            runs,
            pieces: changed.unwrap_or(segments),
            written,
            verdict,
        }
    }
}

/// Returns the total length of all runs in bytes.
pub(crate) fn image_bytes(runs: &[Run]) -> u64 {
    runs.iter().fold(0, |sum, run| sum.saturating_add(run.len))
}

/// wasmtime's rule for when to create an image of a memory with this extent.
fn reference_rule(
    extent: &Extent,
    ty: MemoryType,
    page_size: HostPageSize,
    max_image_size_always_allowed: u64,
) -> Result<(), Reason> {
    let wasm_page = ty.page_size.bytes();
    if wasm_page < page_size.bytes() {
        return Err(Reason::PageSize {
            page_size: wasm_page,
        });
    }
    let span = extent.max.saturating_sub(extent.min);
    let data_bytes = extent.data_bytes;
    if span < data_bytes.saturating_mul(2) || span < max_image_size_always_allowed {
        Ok(())
    } else {
        Err(Reason::TooSparse { span, data_bytes })
    }
}
