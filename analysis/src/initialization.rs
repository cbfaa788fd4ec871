//! How memories are initialised, and one driver for all forms of initialisation.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use cranelift_entity::PrimaryMap;
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryInitializer<'a> {
    /// The memory that it is written to.
    pub memory_index: MemoryIndex,
    /// Its index among all data segments, for messages and for `data.drop`.
    pub segment: DataIndex,
    /// The address of the first byte.
    #[serde(borrow)]
    pub offset: OffsetExpr<'a>,
    /// Its bytes: borrowed from the module or from the serialised form, or owned if the
    /// format does not support borrowing.
    #[serde(borrow, with = "crate::bytes")]
    pub data: Cow<'a, [u8]>,
}

/// Bytes with a known address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticMemoryInitializer<'a> {
    /// The address of the first byte.
    pub offset: u64,
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

    /// Initialises every memory through `state`.
    ///
    /// Writes the runs first, then the segments to replay. Each segment is checked against
    /// the memory's size and then written whole. This works ahead of time, with declared
    /// sizes and known globals, and at run time with actual ones.
    ///
    /// A run is truncated at the end of its memory: with custom page sizes, a memory can
    /// end inside its last host page.
    ///
    /// # Errors
    ///
    /// [`InitError`] for the first failure. Earlier writes stay in place, as the
    /// specification requires.
    pub fn init_memory(&self, state: &mut dyn InitMemory) -> Result<(), InitError> {
        match self {
            Self::Segmented(_) => {}
            Self::Static { map } => {
                for (memory_index, run) in map {
                    if let Some(run) = run {
                        write_run(state, memory_index, run)?;
                    }
                }
            }
            Self::Hybrid { runs, .. } => {
                for (memory_index, runs) in runs {
                    for run in runs {
                        write_run(state, memory_index, run)?;
                    }
                }
            }
        }
        for initializer in self.replay() {
            initializer.replay(state)?;
        }
        Ok(())
    }
}

fn write_run(
    state: &mut dyn InitMemory,
    memory_index: MemoryIndex,
    run: &StaticMemoryInitializer<'_>,
) -> Result<(), InitError> {
    let fail = |kind| {
        Err(InitError {
            kind,
            memory_index,
            segment: None,
        })
    };
    let Ok(size) = state.memory_size_in_bytes(memory_index) else {
        return fail(InitErrorKind::SizeOverflow);
    };
    let Some(room) = size.checked_sub(run.offset) else {
        let len = len(&run.data);
        return fail(InitErrorKind::OutOfBounds {
            offset: run.offset,
            len,
            size,
        });
    };
    let data = match usize::try_from(room) {
        Ok(room) => run.data.get(..room).unwrap_or(&run.data),
        Err(_) => &run.data,
    };
    let data = Cow::Borrowed(data);
    let run = StaticMemoryInitializer {
        offset: run.offset,
        data,
    };
    if state.write(memory_index, &run) {
        Ok(())
    } else {
        fail(InitErrorKind::Refused)
    }
}

impl StaticMemoryInitializer<'_> {
    /// Converts the bytes to owned ones.
    pub fn into_owned(self) -> StaticMemoryInitializer<'static> {
        StaticMemoryInitializer {
            offset: self.offset,
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

    /// Writes the segment through `state` as the specification requires: evaluates the
    /// offset, checks both ends against the memory's current size, and writes all bytes.
    ///
    /// [`MemoryInitialization::init_memory`] does this for each segment to replay. Use this
    /// method if you store the segments yourself.
    ///
    /// # Errors
    ///
    /// [`InitError`], in which case no byte of this segment was written.
    pub fn replay(&self, state: &mut dyn InitMemory) -> Result<(), InitError> {
        let memory_index = self.memory_index;
        let fail = |kind| {
            Err(InitError {
                kind,
                memory_index,
                segment: Some(self.segment),
            })
        };
        let Some(offset) = state.eval_offset(memory_index, &self.offset) else {
            return fail(InitErrorKind::UnknownOffset);
        };
        let Ok(size) = state.memory_size_in_bytes(memory_index) else {
            return fail(InitErrorKind::SizeOverflow);
        };
        let len = len(&self.data);
        if !fits(offset, len, size) {
            return fail(InitErrorKind::OutOfBounds { offset, len, size });
        }
        let write = StaticMemoryInitializer {
            offset,
            data: Cow::Borrowed(&self.data),
        };
        if state.write(memory_index, &write) {
            Ok(())
        } else {
            fail(InitErrorKind::Refused)
        }
    }
}

/// Returns whether `len` bytes at `addr` are in bounds of a memory of `size` bytes.
///
/// An empty range exactly at the end is in bounds; one past the end is not.
pub(crate) const fn fits(addr: u64, len: u64, size: u64) -> bool {
    match addr.checked_add(len) {
        Some(end) => end <= size,
        None => false,
    }
}

/// Returns the length of a slice as a `u64`, the type of addresses.
pub(crate) fn len(data: &[u8]) -> u64 {
    // Never saturates: no target has slices of more than `u64::MAX` bytes.
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

/// Access to the memories and globals of an instance, or to what is known ahead of time.
pub trait InitMemory {
    /// Returns the current size of a memory in bytes.
    ///
    /// # Errors
    ///
    /// [`SizeOverflow`] if it does not fit in a `u64`.
    fn memory_size_in_bytes(&mut self, memory_index: MemoryIndex) -> Result<u64, SizeOverflow>;

    /// Evaluates an offset expression to an address, or returns `None` if the address is
    /// not known. Usually calls [`OffsetExpr::eval`] with the available globals.
    fn eval_offset(&mut self, memory_index: MemoryIndex, offset: &OffsetExpr<'_>) -> Option<u64>;

    /// Writes bytes that are in bounds of the memory. Returns `false` to stop.
    fn write(&mut self, memory_index: MemoryIndex, init: &StaticMemoryInitializer<'_>) -> bool;
}

/// Error for a memory of 2⁶⁴ bytes or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeOverflow;

impl fmt::Display for SizeOverflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory's size does not fit in 64 bits")
    }
}

impl core::error::Error for SizeOverflow {}

/// Error that stopped an initialisation, and the segment where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitError {
    /// What failed.
    pub kind: InitErrorKind,
    /// The memory that was being initialised.
    pub memory_index: MemoryIndex,
    /// The active segment that failed; `None` for a run of an image.
    pub segment: Option<DataIndex>,
}

/// The kinds of [`InitError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitErrorKind {
    /// The bytes are out of bounds of the memory, which is a trap at run time.
    OutOfBounds {
        /// The address of the first byte.
        offset: u64,
        /// The number of bytes.
        len: u64,
        /// The memory's size in bytes.
        size: u64,
    },
    /// [`InitMemory::eval_offset`] returned no address.
    UnknownOffset,
    /// [`InitMemory::memory_size_in_bytes`] returned no size.
    SizeOverflow,
    /// [`InitMemory::write`] returned `false`.
    Refused,
}

impl InitError {
    /// Returns whether the program traps. Otherwise, the caller could not supply something.
    pub const fn is_trap(&self) -> bool {
        matches!(self.kind, InitErrorKind::OutOfBounds { .. })
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.segment {
            Some(segment) => write!(f, "data segment {}", segment.as_u32())?,
            None => f.write_str("image")?,
        }
        write!(f, " of memory {}: ", self.memory_index.as_u32())?;
        match self.kind {
            InitErrorKind::OutOfBounds { offset, len, size } => {
                write!(
                    f,
                    "{len} bytes at address {offset:#x} are out of bounds: the memory has {size:#x} bytes"
                )
            }
            InitErrorKind::UnknownOffset => f.write_str("its address is not known"),
            InitErrorKind::SizeOverflow => SizeOverflow.fmt(f),
            InitErrorKind::Refused => f.write_str("the write was rejected"),
        }
    }
}

impl core::error::Error for InitError {}
