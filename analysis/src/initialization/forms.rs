//! The forms that the initialisation of memories can take.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use cranelift_entity::PrimaryMap;

use crate::address::len;
use crate::{DataIndex, MemoryIndex, OffsetExpr};

/// How the linear memories of a module are initialised.
///
/// A program cannot tell the forms apart: it sees the same bytes, the same trap and the
/// same partial writes. Core specification, "Instantiation".
///
/// Supports any serde format. Deserialised segment bytes are borrowed if the format allows
/// it, as postcard does, and owned otherwise. Deserialisation checks that runs and segments
/// are in order and that segments name existing memories.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MemoryInitialization<'a> {
    /// Replay these active segments in order. Possible for every module.
    Segmented(Vec<MemoryInitializer<'a>>),
    /// At most one run of bytes for each memory, and nothing to replay.
    Static {
        /// The run of each memory; `None` if all its bytes are zero.
        map: PrimaryMap<MemoryIndex, Option<StaticMemoryInitializer<'a>>>,
    },
    /// Any number of runs for each memory, then segments to replay.
    Hybrid {
        /// The runs of each memory, in address order.
        runs: PrimaryMap<MemoryIndex, Vec<StaticMemoryInitializer<'a>>>,
        /// The active segments that must still be replayed, in order, afterwards.
        replay: Vec<MemoryInitializer<'a>>,
    },
}

/// One active data segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryInitializer<'a> {
    /// The memory that it is written to.
    pub memory_index: MemoryIndex,
    /// Its index among all data segments, for messages and for `data.drop`.
    pub segment: DataIndex,
    /// The address of the first byte.
    pub offset: OffsetExpr<'a>,
    /// Its bytes: borrowed from the module or from the serialised form, or owned if the
    /// format does not support borrowing.
    pub data: Cow<'a, [u8]>,
}

/// Bytes with a known address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticMemoryInitializer<'a> {
    /// The address of the first byte.
    pub addr: u64,
    /// The bytes, borrowed or owned.
    pub data: Cow<'a, [u8]>,
}

impl Default for MemoryInitialization<'_> {
    fn default() -> Self {
        Self::Segmented(Vec::new())
    }
}

impl<'a> MemoryInitialization<'a> {
    /// Returns whether every segment is replayed.
    pub const fn is_segmented(&self) -> bool {
        matches!(self, Self::Segmented(_))
    }

    /// Returns the runs of one memory in address order; empty if it is only replayed.
    pub fn runs(&self, memory: MemoryIndex) -> &[StaticMemoryInitializer<'a>] {
        match self {
            Self::Segmented(_) => &[],
            Self::Static { map } => map
                .get(memory)
                .and_then(Option::as_ref)
                .map_or(&[], core::slice::from_ref),
            Self::Hybrid { runs, .. } => runs.get(memory).map_or(&[], Vec::as_slice),
        }
    }

    /// Returns the segments to replay after the runs are in place.
    pub fn replay(&self) -> &[MemoryInitializer<'a>] {
        match self {
            Self::Segmented(list) => list,
            Self::Static { .. } => &[],
            Self::Hybrid { replay, .. } => replay,
        }
    }

    /// Converts all bytes to owned ones, so that they outlive the module or the serialised form.
    pub fn into_owned(self) -> MemoryInitialization<'static> {
        let owned = |list: Vec<MemoryInitializer<'a>>| {
            let list = list.into_iter();
            list.map(MemoryInitializer::into_owned).collect()
        };
        match self {
            Self::Segmented(list) => MemoryInitialization::Segmented(owned(list)),
            Self::Static { map } => MemoryInitialization::Static {
                map: map
                    .into_iter()
                    .map(|(_, run)| run.map(StaticMemoryInitializer::into_owned))
                    .collect(),
            },
            Self::Hybrid { runs, replay } => MemoryInitialization::Hybrid {
                runs: runs
                    .into_iter()
                    .map(|(_, runs)| {
                        let runs = runs.into_iter();
                        runs.map(StaticMemoryInitializer::into_owned).collect()
                    })
                    .collect(),
                replay: owned(replay),
            },
        }
    }
}

impl StaticMemoryInitializer<'_> {
    /// Returns one past the address of the last byte. Saturates at 2⁶⁴ - 1.
    pub fn end(&self) -> u64 {
        self.addr.saturating_add(len(&self.data))
    }

    /// Returns the range of addresses from the first byte to one past the last.
    pub fn addresses(&self) -> Range<u64> {
        self.addr..self.end()
    }

    /// Converts the bytes to owned ones.
    pub fn into_owned(self) -> StaticMemoryInitializer<'static> {
        StaticMemoryInitializer {
            addr: self.addr,
            data: Cow::Owned(self.data.into_owned()),
        }
    }
}

impl MemoryInitializer<'_> {
    /// Converts all bytes to owned ones.
    pub fn into_owned(self) -> MemoryInitializer<'static> {
        MemoryInitializer {
            memory_index: self.memory_index,
            segment: self.segment,
            offset: self.offset.into_owned(),
            data: Cow::Owned(self.data.into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn run(addr: u64) -> StaticMemoryInitializer<'static> {
        StaticMemoryInitializer {
            addr,
            data: Cow::Borrowed(&[1, 2]),
        }
    }

    #[test]
    fn each_form_has_its_runs_and_segments() {
        let segment = MemoryInitializer {
            memory_index: MemoryIndex::from_u32(0),
            segment: DataIndex::from_u32(1),
            offset: OffsetExpr::Const(Value::I32(7)),
            data: Cow::Borrowed(&[3]),
        };
        let [first, second, third] = [0, 1, 2].map(MemoryIndex::from_u32);

        let segmented = MemoryInitialization::Segmented(alloc::vec![segment.clone()]);
        assert!(segmented.is_segmented());
        assert_eq!(
            (segmented.runs(first), segmented.replay().len()),
            (&[][..], 1)
        );
        let owned = segmented.into_owned();
        assert!(owned.is_segmented() && owned.replay() == [segment.clone()]);

        let map = [Some(run(8)), None].into_iter().collect();
        let map = MemoryInitialization::Static { map }.into_owned();
        assert!(!map.is_segmented() && map.replay().is_empty());
        assert_eq!(map.runs(first), [run(8)]);
        assert!(map.runs(second).is_empty() && map.runs(third).is_empty());

        let runs = [alloc::vec![run(8), run(20)], Vec::new()]
            .into_iter()
            .collect();
        let replay = alloc::vec![segment.clone()];
        let hybrid = MemoryInitialization::Hybrid { runs, replay }.into_owned();
        assert!(!hybrid.is_segmented());
        assert_eq!(hybrid.runs(first), [run(8), run(20)]);
        assert!(hybrid.runs(second).is_empty() && hybrid.runs(third).is_empty());
        assert_eq!(hybrid.replay(), [segment]);
        assert!(MemoryInitialization::default().replay().is_empty());
    }

    #[test]
    fn an_initialiser_covers_its_bytes() {
        assert_eq!(run(8).addresses(), 8..10);
        assert_eq!(run(u64::MAX).end(), u64::MAX);
        assert_eq!(run(8).into_owned(), run(8));
    }
}
