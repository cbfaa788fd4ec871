//! The serialised form of initialisations, and the checks on deserialisation.
//!
//! Engines store them in their compiled modules. Deserialised data is untrusted: it becomes
//! a value only if this crate could have produced it.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{bytes, sequence};
use crate::address::len;
use crate::expr::offset_expr::{ExprBytes, OffsetExpr};
use crate::initialization::{MemoryInitialization, MemoryInitializer, StaticMemoryInitializer};
use crate::limits::{MAX_DATA_SEGMENTS, MAX_MEMORIES};
use crate::{DataIndex, MemoryIndex, Value};

#[derive(Serialize, Deserialize)]
#[serde(rename = "OffsetExpr", rename_all = "snake_case")]
enum Offset<'a> {
    Const(Value),
    #[serde(borrow)]
    Expr(#[serde(with = "bytes")] Cow<'a, [u8]>),
}

impl Serialize for OffsetExpr<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Const(value) => Offset::Const(*value),
            Self::Expr(expr) => Offset::Expr(Cow::Borrowed(expr.as_bytes())),
        }
        .serialize(to)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for OffsetExpr<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Offset::deserialize(from)? {
            Offset::Const(value) => Ok(Self::Const(value)),
            Offset::Expr(bytes) => ExprBytes::new(bytes)
                .map(Self::Expr)
                .ok_or_else(|| D::Error::custom("not an integer constant expression")),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "StaticMemoryInitializer")]
struct Static<'a> {
    addr: u64,
    #[serde(borrow, with = "bytes")]
    data: Cow<'a, [u8]>,
}

impl Serialize for StaticMemoryInitializer<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let it = Static {
            addr: self.addr,
            data: Cow::Borrowed(&self.data),
        };
        it.serialize(to)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for StaticMemoryInitializer<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Static { addr, data } = Static::deserialize(from)?;
        match addr.checked_add(len(&data)) {
            Some(_) => Ok(Self { addr, data }),
            None => Err(D::Error::custom(
                "bytes past the end of the 64-bit address space",
            )),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "MemoryInitializer")]
struct Segment<'a> {
    memory_index: MemoryIndex,
    segment: DataIndex,
    #[serde(borrow)]
    offset: OffsetExpr<'a>,
    #[serde(borrow, with = "bytes")]
    data: Cow<'a, [u8]>,
}

impl Serialize for MemoryInitializer<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let it = Segment {
            memory_index: self.memory_index,
            segment: self.segment,
            offset: self.offset.as_ref(),
            data: Cow::Borrowed(&self.data),
        };
        it.serialize(to)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MemoryInitializer<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let it = Segment::deserialize(from)?;
        Ok(Self {
            memory_index: it.memory_index,
            segment: it.segment,
            offset: it.offset,
            data: it.data,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "MemoryInitialization", rename_all = "snake_case")]
enum Initialization<'a> {
    #[serde(borrow, deserialize_with = "sequence::deserialize")]
    Segmented(Vec<MemoryInitializer<'a>>),
    Static {
        #[serde(borrow, deserialize_with = "sequence::deserialize")]
        map: Vec<Option<StaticMemoryInitializer<'a>>>,
    },
    Hybrid {
        #[serde(borrow, deserialize_with = "sequence::deserialize")]
        runs: Vec<Vec<StaticMemoryInitializer<'a>>>,
        #[serde(borrow, deserialize_with = "sequence::deserialize")]
        replay: Vec<MemoryInitializer<'a>>,
    },
}

impl Serialize for MemoryInitialization<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // Copies lists, not bytes.
        match self {
            Self::Segmented(list) => Initialization::Segmented(list.iter().map(borrowed).collect()),
            Self::Static { map } => {
                let runs = map.values().map(Option::as_ref);
                Initialization::Static {
                    map: runs.map(|it| it.map(borrowed_run)).collect(),
                }
            }
            Self::Hybrid { runs, replay } => Initialization::Hybrid {
                runs: runs
                    .values()
                    .map(|runs| runs.iter().map(borrowed_run).collect())
                    .collect(),
                replay: replay.iter().map(borrowed).collect(),
            },
        }
        .serialize(to)
    }
}

pub(crate) fn borrowed<'i>(it: &'i MemoryInitializer<'_>) -> MemoryInitializer<'i> {
    MemoryInitializer {
        memory_index: it.memory_index,
        segment: it.segment,
        offset: it.offset.as_ref(),
        data: Cow::Borrowed(&it.data),
    }
}

pub(crate) fn borrowed_run<'i>(it: &'i StaticMemoryInitializer<'_>) -> StaticMemoryInitializer<'i> {
    StaticMemoryInitializer {
        addr: it.addr,
        data: Cow::Borrowed(&it.data),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for MemoryInitialization<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Initialization::deserialize(from)? {
            Initialization::Segmented(list) => {
                check_replay(&list, MAX_MEMORIES).map_err(D::Error::custom)?;
                Self::Segmented(list)
            }
            Initialization::Static { map } => {
                check_memories(map.len()).map_err(D::Error::custom)?;
                Self::Static {
                    map: map.into_iter().collect(),
                }
            }
            Initialization::Hybrid { runs, replay } => {
                check_memories(runs.len()).map_err(D::Error::custom)?;
                check_replay(&replay, runs.len()).map_err(D::Error::custom)?;
                for runs in &runs {
                    check_runs(runs).map_err(D::Error::custom)?;
                }
                Self::Hybrid {
                    runs: runs.into_iter().collect(),
                    replay,
                }
            }
        })
    }
}

pub(crate) type Checked = Result<(), &'static str>;

pub(crate) fn check_memories(n_memories: usize) -> Checked {
    if n_memories <= MAX_MEMORIES {
        Ok(())
    } else {
        Err("more memories than a module can have")
    }
}

/// Checks that segments are in module order and name existing memories.
pub(crate) fn check_replay(list: &[MemoryInitializer<'_>], n_memories: usize) -> Checked {
    let position = |index: u32| usize::try_from(index).unwrap_or(usize::MAX);
    if !list.is_sorted_by(|a, b| a.segment < b.segment) {
        return Err("segments out of order");
    }
    if list
        .last()
        .is_some_and(|it| MAX_DATA_SEGMENTS <= position(it.segment.as_u32()))
    {
        return Err("more segments than a module can have");
    }
    if list
        .iter()
        .any(|it| n_memories <= position(it.memory_index.as_u32()))
    {
        return Err("a segment of an unknown memory");
    }
    Ok(())
}

pub(crate) fn check_runs(runs: &[StaticMemoryInitializer<'_>]) -> Checked {
    // No sum wraps: each run was checked when it was deserialised.
    if runs.iter().any(|it| it.data.is_empty()) {
        Err("a run without bytes")
    } else if runs.is_sorted_by(|a, b| a.end() <= b.addr) {
        Ok(())
    } else {
        Err("runs out of order")
    }
}
