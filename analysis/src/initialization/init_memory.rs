//! Carries out an initialisation, whatever its form, through one trait.

use alloc::borrow::Cow;
use core::fmt;

use super::forms::{MemoryInitialization, MemoryInitializer, StaticMemoryInitializer};
use crate::address::{fits, len};
use crate::{DataIndex, MemoryIndex, OffsetExpr};

impl MemoryInitialization<'_> {
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

impl MemoryInitializer<'_> {
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
        let Some(addr) = state.eval_offset(memory_index, &self.offset) else {
            return fail(InitErrorKind::UnknownOffset);
        };
        let Ok(size) = state.memory_size_in_bytes(memory_index) else {
            return fail(InitErrorKind::SizeOverflow);
        };
        let len = len(&self.data);
        if !fits(addr, len, size) {
            return fail(InitErrorKind::OutOfBounds { addr, len, size });
        }
        let write = StaticMemoryInitializer {
            addr,
            data: Cow::Borrowed(&self.data),
        };
        if state.write(memory_index, &write) {
            Ok(())
        } else {
            fail(InitErrorKind::Refused)
        }
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
    let Some(room) = size.checked_sub(run.addr) else {
        let len = len(&run.data);
        return fail(InitErrorKind::OutOfBounds {
            addr: run.addr,
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
        addr: run.addr,
        data,
    };
    if state.write(memory_index, &run) {
        Ok(())
    } else {
        fail(InitErrorKind::Refused)
    }
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
        addr: u64,
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
            InitErrorKind::OutOfBounds { addr, len, size } => {
                write!(
                    f,
                    "{len} bytes at address {addr:#x} are out of bounds: the memory has {size:#x} bytes"
                )
            }
            InitErrorKind::UnknownOffset => f.write_str("its address is not known"),
            InitErrorKind::SizeOverflow => SizeOverflow.fmt(f),
            InitErrorKind::Refused => f.write_str("the write was rejected"),
        }
    }
}

impl core::error::Error for InitError {}
