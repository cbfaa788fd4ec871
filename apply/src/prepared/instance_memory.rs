//! The memories that a host passes, and how each is initialised.

use core::fmt;

use wasm_meminit_image_builder::analysis::{
    GlobalIndex, InitMemory, MemoryIndex, OffsetExpr, SizeOverflow, StaticMemoryInitializer, Value,
};

use super::error::InstantiateError;
use super::memory::PreparedMemory;
#[cfg(feature = "std")]
use crate::pool::{PooledSlot, SlotPool};
use crate::replay::{position, write};
use crate::slot::MemorySlot;

/// One memory of an instance, as provided by the host.
///
/// [`PreparedModule::instantiate`](crate::PreparedModule::instantiate) initialises it.
///
/// Created with `into()` from a `&mut MemorySlot`, a `&mut PooledSlot`, a `&mut [u8]`, or
/// a pool with a place for the slot: `(&pool, &mut slot)`.
#[non_exhaustive]
pub enum InstanceMemory<'a> {
    /// A ready slot, for a memory that belongs to the instance alone. It is started from
    /// the memory's image.
    Slot {
        /// The slot: in use afterwards, until it is reset.
        slot: &'a mut MemorySlot,
        /// The initial size in bytes. Default: the minimum that the module declares.
        bytes: Option<u64>,
    },
    /// Like [`Slot`](Self::Slot), with a slot taken from a pool without waiting:
    /// instances with several memories that wait for one while they hold another can
    /// deadlock. To wait, acquire a slot and pass [`Pooled`](Self::Pooled).
    #[cfg(feature = "std")]
    Pool {
        /// The pool.
        pool: &'a SlotPool,
        /// Where the slot is stored. A slot that was there is returned to its pool first.
        slot: &'a mut Option<PooledSlot>,
        /// The initial size in bytes. Default: the minimum that the module declares.
        bytes: Option<u64>,
    },
    /// A slot that the host has [acquired](SlotPool::acquire) for this start with the
    /// memory's [image](crate::PreparedMemory::image) and a size of at least its
    /// [minimum](crate::PreparedMemory::min_bytes), and that has not been written to
    /// since.
    #[cfg(feature = "std")]
    Pooled(&'a mut PooledSlot),
    /// All bytes of an existing memory: one that the module imports, or that the engine
    /// has created for it.
    ///
    /// Every byte must be zero for a memory that the module defines, and for one that has
    /// an [image](crate::PreparedMemory::image). A module's imports have images only if
    /// the artifact was built with the promise that they are fresh
    /// (`Policy::with_zeroed_imports`). Other imported memories may have any contents.
    Bytes(&'a mut [u8]),
}

/// Prints sizes, never bytes.
impl fmt::Debug for InstanceMemory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot { slot, bytes } => f
                .debug_struct("Slot")
                .field("slot", slot)
                .field("bytes", bytes)
                .finish(),
            #[cfg(feature = "std")]
            Self::Pool { pool, slot, bytes } => f
                .debug_struct("Pool")
                .field("pool", pool)
                .field("slot", slot)
                .field("bytes", bytes)
                .finish(),
            #[cfg(feature = "std")]
            Self::Pooled(slot) => f.debug_tuple("Pooled").field(slot).finish(),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

impl<'a> From<&'a mut MemorySlot> for InstanceMemory<'a> {
    fn from(slot: &'a mut MemorySlot) -> Self {
        Self::Slot { slot, bytes: None }
    }
}

#[cfg(feature = "std")]
impl<'a> From<(&'a SlotPool, &'a mut Option<PooledSlot>)> for InstanceMemory<'a> {
    fn from((pool, slot): (&'a SlotPool, &'a mut Option<PooledSlot>)) -> Self {
        Self::Pool {
            pool,
            slot,
            bytes: None,
        }
    }
}

#[cfg(feature = "std")]
impl<'a> From<&'a mut PooledSlot> for InstanceMemory<'a> {
    fn from(slot: &'a mut PooledSlot) -> Self {
        Self::Pooled(slot)
    }
}

impl<'a> From<&'a mut [u8]> for InstanceMemory<'a> {
    fn from(bytes: &'a mut [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl InstanceMemory<'_> {
    /// Checks the memory without changing anything.
    pub(super) fn check(
        &self,
        memory: MemoryIndex,
        prepared: &PreparedMemory,
    ) -> Result<(), InstantiateError> {
        let min_bytes = prepared.min_bytes();
        let bytes = match self {
            Self::Slot { bytes, .. } => bytes.unwrap_or(min_bytes),
            #[cfg(feature = "std")]
            Self::Pool { bytes, .. } => bytes.unwrap_or(min_bytes),
            #[cfg(feature = "std")]
            Self::Pooled(slot) => {
                let expected = prepared.image().map(alloc::sync::Arc::as_ptr);
                if slot.image().map(alloc::sync::Arc::as_ptr) != expected {
                    return Err(InstantiateError::WrongImage { memory });
                }
                slot.len()
            }
            Self::Bytes(bytes) => len_u64(bytes),
        };
        if bytes < min_bytes {
            return Err(InstantiateError::TooSmall {
                memory,
                min_bytes,
                bytes,
            });
        }
        Ok(())
    }

    /// Starts a slot. An existing memory is left as it is.
    pub(super) fn start(
        &mut self,
        memory: MemoryIndex,
        prepared: &PreparedMemory,
    ) -> Result<(), InstantiateError> {
        let (image, min_bytes) = (prepared.image(), prepared.min_bytes());
        match self {
            Self::Slot { slot, bytes } => slot
                .instantiate(image, bytes.unwrap_or(min_bytes))
                .map_err(|error| InstantiateError::Slot { memory, error }),
            #[cfg(feature = "std")]
            Self::Pool { pool, slot, bytes } => {
                **slot = None;
                let acquired = pool.try_acquire(image, bytes.unwrap_or(min_bytes));
                let acquired =
                    acquired.map_err(|error| InstantiateError::Acquire { memory, error })?;
                **slot = Some(acquired);
                Ok(())
            }
            #[cfg(feature = "std")]
            Self::Pooled(_) => Ok(()),
            Self::Bytes(_) => Ok(()),
        }
    }

    /// Undoes [`start`](Self::start).
    pub(super) fn undo(&mut self) {
        match self {
            Self::Slot { slot, .. } => {
                // If that fails, the slot is poisoned, which its next use reports.
                let _ = slot.reset();
            }
            #[cfg(feature = "std")]
            Self::Pool { slot, .. } => **slot = None,
            #[cfg(feature = "std")]
            Self::Pooled(_) => {}
            Self::Bytes(_) => {}
        }
    }

    /// Copies the image if it could not be mapped.
    pub(super) fn copy_image(&mut self, prepared: &PreparedMemory) {
        if let (Self::Bytes(bytes), Some(image)) = (self, prepared.image()) {
            image.copy_into_zeroed(0..bytes.len(), bytes);
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Slot { slot, .. } => slot.as_slice(),
            #[cfg(feature = "std")]
            Self::Pool { slot, .. } => slot.as_ref().map_or(&[], |slot| slot.as_slice()),
            #[cfg(feature = "std")]
            Self::Pooled(slot) => slot.as_slice(),
            Self::Bytes(bytes) => bytes,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Self::Slot { slot, .. } => slot.as_mut_slice(),
            #[cfg(feature = "std")]
            Self::Pool { slot, .. } => slot.as_mut().map_or(&mut [], PooledSlot::as_mut_slice),
            #[cfg(feature = "std")]
            Self::Pooled(slot) => slot.as_mut_slice(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The memories of an instance, all started, during replay.
pub(super) struct Memories<'a, 'm> {
    // Invariant: the same length as `memories`.
    prepared: &'a [PreparedMemory],
    memories: &'a mut [InstanceMemory<'m>],
    globals: &'a dyn Fn(GlobalIndex) -> Option<Value>,
}

impl<'a, 'm> Memories<'a, 'm> {
    pub(super) fn new(
        prepared: &'a [PreparedMemory],
        memories: &'a mut [InstanceMemory<'m>],
        globals: &'a dyn Fn(GlobalIndex) -> Option<Value>,
    ) -> Self {
        debug_assert_eq!(prepared.len(), memories.len());
        Self {
            prepared,
            memories,
            globals,
        }
    }
}

impl InitMemory for Memories<'_, '_> {
    fn memory_size_in_bytes(&mut self, memory: MemoryIndex) -> Result<u64, SizeOverflow> {
        Ok(len_u64(self.memories[position(memory)].as_slice()))
    }

    fn eval_offset(&mut self, memory: MemoryIndex, offset: &OffsetExpr<'_>) -> Option<u64> {
        let index_type = self.prepared[position(memory)].ty().index_type;
        offset.eval(index_type, self.globals).ok()
    }

    fn write(&mut self, memory: MemoryIndex, init: &StaticMemoryInitializer<'_>) -> bool {
        write(self.memories[position(memory)].as_mut_slice(), init)
    }
}

fn len_u64(bytes: &[u8]) -> u64 {
    // Never saturates: no target has more than 64 bits.
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
