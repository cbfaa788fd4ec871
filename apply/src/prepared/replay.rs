//! The segments to replay, with their own copy of the data.

use alloc::vec::Vec;
use core::ops::Range;

use wasm_meminit_image_builder::Artifact;
use wasm_meminit_image_builder::analysis::{
    DataIndex, EvalError, ExprBytes, GlobalIndex, IndexType, MemoryIndex, MemoryInitializer,
    OffsetExpr, Value,
};

use super::error::PrepareError;

/// Segments to replay, in the order in which they are written.
pub(super) struct ReplayList {
    // Invariant: the ranges of each segment are within `bytes`, and those of an
    // expression hold its encoding.
    segments: Vec<Segment>,
    /// Data, and the encodings of expressions.
    bytes: Vec<u8>,
    /// The globals that the expressions refer to, each once, in order.
    globals: Vec<(GlobalIndex, IndexType)>,
}

struct Segment {
    memory: MemoryIndex,
    segment: DataIndex,
    offset: Offset,
    data: Range<usize>,
}

enum Offset {
    Const(Value),
    Expr(Range<usize>),
}

impl ReplayList {
    pub(super) fn new(artifact: &Artifact<'_>) -> Result<Self, PrepareError> {
        let (mut n_segments, mut n_bytes) = (0_usize, 0_usize);
        for it in artifact.replay() {
            n_segments += 1;
            // Cannot overflow: all of it is in the artifact.
            n_bytes += it.data.len() + encoding(&it.offset).len();
        }
        let mut list = Self {
            segments: Vec::new(),
            bytes: Vec::new(),
            globals: Vec::new(),
        };
        let no_room = |_| PrepareError::OutOfMemory;
        list.segments
            .try_reserve_exact(n_segments)
            .map_err(no_room)?;
        list.bytes.try_reserve_exact(n_bytes).map_err(no_room)?;
        for it in artifact.replay() {
            list.push(artifact, &it)?;
        }
        list.globals.sort_unstable_by_key(|(global, _)| *global);
        list.globals.dedup();
        Ok(list)
    }

    fn push(
        &mut self,
        artifact: &Artifact<'_>,
        it: &MemoryInitializer<'_>,
    ) -> Result<(), PrepareError> {
        let position = usize::try_from(it.memory_index.as_u32()).unwrap_or(usize::MAX);
        // Always present: `decode` has checked it.
        let Some(memory) = artifact.memories().get(position) else {
            return Ok(());
        };
        let index_type = memory.ty().index_type;
        let found = globals_of(&it.offset, index_type);
        let found = found.map_err(|error| PrepareError::Offset {
            segment: it.segment,
            error,
        })?;
        self.globals
            .extend(found.into_iter().map(|global| (global, index_type)));
        let offset = match it.offset {
            OffsetExpr::Const(value) => Offset::Const(value),
            OffsetExpr::Expr(_) => Offset::Expr(self.keep(encoding(&it.offset))),
        };
        let data = self.keep(&it.data);
        self.segments.push(Segment {
            memory: it.memory_index,
            segment: it.segment,
            offset,
            data,
        });
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    pub(super) const fn len(&self) -> usize {
        self.segments.len()
    }

    pub(super) fn globals(&self) -> &[(GlobalIndex, IndexType)] {
        &self.globals
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = MemoryInitializer<'_>> {
        self.segments.iter().map(|it| MemoryInitializer {
            memory_index: it.memory,
            segment: it.segment,
            offset: match &it.offset {
                Offset::Const(value) => OffsetExpr::Const(*value),
                Offset::Expr(range) => {
                    let decoded = OffsetExpr::decode(&self.bytes[range.clone()]);
                    decoded.expect("was decoded before").0
                }
            },
            data: self.bytes[it.data.clone()].into(),
        })
    }
}

fn encoding<'o>(offset: &'o OffsetExpr<'_>) -> &'o [u8] {
    match offset {
        OffsetExpr::Const(_) => &[],
        OffsetExpr::Expr(expr) => ExprBytes::as_bytes(expr),
    }
}

/// Evaluates an offset once with dummy values of its type, to find the globals that it
/// refers to.
///
/// An integer expression has one type throughout, and no branches.
fn globals_of(
    offset: &OffsetExpr<'_>,
    index_type: IndexType,
) -> Result<Vec<GlobalIndex>, EvalError> {
    let found = core::cell::RefCell::new(Vec::new());
    offset.eval(index_type, &|global| {
        found.borrow_mut().push(global);
        Some(match index_type {
            IndexType::I32 => Value::I32(0),
            IndexType::I64 => Value::I64(0),
        })
    })?;
    Ok(found.into_inner())
}
