//! The segments of one memory, as the spans that they write.

use alloc::vec::Vec;

use wasm_meminit_analysis::StaticMemoryInitializer;

use super::data::Target;
use super::optimum::best_joins;
use super::span::Span;

/// The segments of one memory.
#[derive(Clone, Debug)]
pub(super) struct Cover {
    pub(super) target: Target,
    /// Spans that are never split.
    pub(super) atoms: Vec<Span>,
    /// The segments, each of one or more joined atoms.
    pub(super) spans: Vec<Span>,
    /// Whether gaps between atoms are known to be zero, so that segments may include them.
    pub(super) gaps_are_zero: bool,
}

impl Cover {
    /// Covers pieces in a memory whose other bytes are known to be zero, with the shortest
    /// encoding, and the fewest segments among those.
    pub(super) fn of_zeroed(target: Target, pieces: &[StaticMemoryInitializer<'_>]) -> Self {
        let atoms = nonzero(target, pieces);
        Self {
            target,
            spans: best_joins(target, &atoms, 0),
            atoms,
            gaps_are_zero: true,
        }
    }

    /// Covers pieces in a memory with unknown contents: exactly their bytes. Adjacent pieces
    /// are merged into one segment.
    pub(super) fn of_unknown(target: Target, pieces: &[StaticMemoryInitializer<'_>]) -> Self {
        let atoms = touching(pieces);
        Self {
            target,
            spans: atoms.clone(),
            atoms,
            gaps_are_zero: false,
        }
    }

    /// Returns the best segments if each costs `weight` [`PARTS`](super::optimum::PARTS) more than its encoding.
    pub(super) fn weighed(&self, weight: u64) -> Self {
        let mut cover = self.clone();
        if self.gaps_are_zero {
            cover.spans = best_joins(self.target, &self.atoms, weight);
        }
        cover
    }

    /// Returns the widest gap that may be closed, in bytes.
    pub(super) fn widest_gap(&self) -> u64 {
        let gaps = self.atoms.windows(2).map(|pair| match *pair {
            [a, b] if self.gaps_are_zero => b.start.saturating_sub(a.end),
            _ => 0,
        });
        gaps.fold(0, u64::max)
    }

    /// Returns, for each gap between segments, the bytes that closing it adds.
    pub(super) fn joins(&self) -> impl Iterator<Item = Option<i128>> + '_ {
        let len = |it| i128::from(self.target.segment_len(it));
        self.spans.windows(2).map(move |pair| {
            let [a, b] = *pair else { return None };
            let joined = Span {
                start: a.start,
                end: b.end,
            };
            let cost = len(joined).saturating_sub(len(a)).saturating_sub(len(b));
            self.gaps_are_zero.then_some(cost)
        })
    }

    /// Joins segments across the gaps for which `is_joined` returns true.
    pub(super) fn joined(&self, mut is_joined: impl FnMut() -> bool) -> Self {
        let mut spans: Vec<Span> = Vec::with_capacity(self.spans.len());
        for (nth, it) in self.spans.iter().enumerate() {
            let join = nth != 0 && is_joined();
            match spans.last_mut() {
                Some(last) if join => last.end = it.end,
                _ => spans.push(*it),
            }
        }
        Self {
            spans,
            ..self.clone()
        }
    }
}

/// Returns spans that begin and end with a non-zero byte. Gaps too short to split at are
/// included.
fn nonzero(target: Target, pieces: &[StaticMemoryInitializer<'_>]) -> Vec<Span> {
    let mut list: Vec<Span> = Vec::new();
    for piece in pieces {
        let mut rest = &*piece.data;
        while let Some(zeros) = rest.iter().position(|byte| *byte != 0) {
            rest = rest.get(zeros..).unwrap_or_default();
            let start = piece.end().saturating_sub(len(rest));
            let n = rest.iter().position(|byte| *byte == 0);
            rest = n.and_then(|n| rest.get(n..)).unwrap_or_default();
            let end = piece.end().saturating_sub(len(rest));
            match list.last_mut() {
                Some(last) if start.saturating_sub(last.end) <= target.header_len(start) => {
                    last.end = end;
                }
                _ => list.push(Span { start, end }),
            }
        }
    }
    list
}

/// Returns the spans of pieces, merging adjacent ones.
fn touching(pieces: &[StaticMemoryInitializer<'_>]) -> Vec<Span> {
    let mut list: Vec<Span> = Vec::new();
    for piece in pieces {
        match list.last_mut() {
            Some(last) if last.end == piece.addr => last.end = piece.end(),
            _ => list.push(Span {
                start: piece.addr,
                end: piece.end(),
            }),
        }
    }
    list
}

fn len(data: &[u8]) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

/// Returns the total number of segments.
pub(super) fn n_segments(covers: &[Cover]) -> usize {
    let counts = covers.iter().map(|it| it.spans.len());
    counts.fold(0, usize::saturating_add)
}

/// Returns the total length of the encoding in bytes.
pub(super) fn encoded_len(covers: &[Cover]) -> u64 {
    let spans = |it: &Cover| -> u64 {
        let lens = it.spans.iter().map(|at| it.target.segment_len(*at));
        lens.fold(0, u64::saturating_add)
    };
    covers.iter().map(spans).fold(0, u64::saturating_add)
}
