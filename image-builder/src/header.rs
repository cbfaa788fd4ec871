//! The header of an artifact, as postcard writes it.
//!
//! Fields follow each other without a count of their own where the count is checked
//! against the input first: a reader never reserves room that the input does not
//! vouch for. `FORMAT.md` draws it byte by byte.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use wasm_meminit_analysis::{
    DataIndex, ExprBytes, HostPageSize, MemoryIndex, MemoryInitializer, MemoryType, OffsetExpr,
    Run, Value,
};

use crate::error::{DecodeError, Part};
use crate::start::StartHead;

/// What comes first in the header.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Front {
    pub(crate) page_size: HostPageSize,
    pub(crate) elements_may_trap: bool,
    pub(crate) source: Option<[u8; 32]>,
    pub(crate) start: Option<StartHead>,
    pub(crate) n_memories: u32,
}

/// One for each memory, each followed by its runs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct MemoryHead {
    pub(crate) ty: MemoryType,
    pub(crate) imported: bool,
    pub(crate) n_runs: u64,
}

/// One for each segment to replay, behind their number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ReplayEntry<'a> {
    memory: u32,
    segment: u32,
    #[serde(borrow)]
    offset: WireExpr<'a>,
    data: &'a [u8],
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum WireExpr<'a> {
    Const(Value),
    /// The module's own encoding, `end` included.
    #[serde(borrow)]
    Expr(&'a [u8]),
}

impl<'a> ReplayEntry<'a> {
    pub(crate) fn new(it: &'a MemoryInitializer<'_>) -> Self {
        Self {
            memory: it.memory_index.as_u32(),
            segment: it.segment.as_u32(),
            offset: match &it.offset {
                OffsetExpr::Const(value) => WireExpr::Const(*value),
                OffsetExpr::Expr(expr) => WireExpr::Expr(ExprBytes::as_bytes(expr)),
            },
            data: &it.data,
        }
    }

    /// The segment, if it names one of the memories and an expression of its type.
    pub(crate) fn check(self, types: &[MemoryType]) -> Option<MemoryInitializer<'a>> {
        let ty = types.get(usize::try_from(self.memory).ok()?)?;
        let offset = match self.offset {
            WireExpr::Const(value) => {
                value.address(ty.index_type)?;
                OffsetExpr::Const(value)
            }
            WireExpr::Expr(bytes) => match OffsetExpr::decode(bytes) {
                Ok((expr @ OffsetExpr::Expr(_), [])) => expr,
                _ => return None,
            },
        };
        // Index types panic on the reserved value in debug builds.
        if self.segment == u32::MAX {
            return None;
        }
        Some(MemoryInitializer {
            memory_index: MemoryIndex::from_u32(self.memory),
            segment: DataIndex::from_u32(self.segment),
            offset,
            data: Cow::Borrowed(self.data),
        })
    }
}

/// Reads one item from the front of `input`.
pub(crate) fn take<'a, T: Deserialize<'a>>(
    input: &mut &'a [u8],
    part: Part,
) -> Result<T, DecodeError> {
    let (item, rest) =
        postcard::take_from_bytes(input).map_err(|_| DecodeError::Invalid { part })?;
    *input = rest;
    Ok(item)
}

/// Appends one item.
pub(crate) fn put<T: Serialize>(output: &mut Vec<u8>, item: &T) {
    // Never fails: `Vec` grows, and every type here has a fixed shape.
    if let Ok(bytes) = postcard::to_allocvec(item) {
        output.extend_from_slice(&bytes);
    }
}

/// Checks the invariants of [`Image`](crate::Image) on runs from a file.
pub(crate) fn check_runs(runs: &[Run], page_size: HostPageSize, ty: &MemoryType) -> bool {
    let aligned = |run: &Run| {
        page_size.is_aligned(run.offset)
            && page_size.is_aligned(run.len)
            && run.len != 0
            && run.offset.checked_add(run.len).is_some()
    };
    // Behind the last page boundary, every aligned end below 2^64 is within.
    let limit = ty
        .min_bytes()
        .map(|bytes| page_size.round_up(bytes).unwrap_or(u64::MAX));
    runs.iter().all(aligned)
        && runs.is_sorted_by(|a, b| a.end() < b.offset)
        && match (runs.last(), limit) {
            (None, _) => true,
            (Some(last), Some(limit)) => last.end() <= limit,
            (Some(_), None) => false,
        }
}
