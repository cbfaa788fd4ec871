//! The memories that a host hands over, and how each is initialised.

use wasm_meminit_image_builder::analysis::{
    GlobalIndex, InitMemory, MemoryIndex, OffsetExpr, SizeOverflow, StaticMemoryInitializer, Value,
};

use super::PreparedMemory;
use super::error::InstantiateError;
#[cfg(feature = "std")]
use crate::pool::{PooledSlot, SlotPool};
use crate::slot::MemorySlot;

/// One memory of an instance, as the host has it: what
/// [`PreparedModule::instantiate`](crate::PreparedModule::instantiate) initialises.
///
/// Made by `into()` from a `&mut MemorySlot`, a `&mut PooledSlot`, a `&mut [u8]`, or a
/// pool with a place for the slot: `(&pool, &mut slot)`.
#[derive(Debug)]
#[non_exhaustive]
pub enum InstanceMemory<'a> {
    /// A slot that is ready, for a memory that the instance gets for itself. It is
    /// started from the memory's image.
    Slot {
        /// The slot: in use afterwards, until it is reset.
        slot: &'a mut MemorySlot,
        /// The size to start with in bytes. Default: the minimum that the module
        /// declares.
        bytes: Option<u64>,
    },
    /// The same with a slot that is taken from a pool, without waiting: an instance with
    /// several memories that waits for one, and holds another, can wait for ever. To
    /// wait, acquire a slot and pass [`Pooled`](Self::Pooled).
    #[cfg(feature = "std")]
    Pool {
        /// The pool.
        pool: &'a SlotPool,
        /// Where the slot is put. What was there goes back to its pool first.
        slot: &'a mut Option<PooledSlot>,
        /// The size to start with in bytes. Default: the minimum that the module
        /// declares.
        bytes: Option<u64>,
    },
    /// A slot that the host has [acquired](SlotPool::acquire) for this start with the
    /// memory's [image](crate::PreparedMemory::image) and a size of at least its
    /// [minimum](crate::PreparedMemory::min_bytes), and in which nothing was written
    /// since.
    #[cfg(feature = "std")]
    Pooled(&'a mut PooledSlot),
    /// All bytes of a memory that exists: one that the module imports, or that the
    /// engine has made for it.
    ///
    /// Every byte has to be zero for a memory that the module defines, and for one that
    /// has an [image](crate::PreparedMemory::image): a module's imports have images only
    /// if the artifact was built with the promise that they are fresh
    /// (`Policy::assume_zeroed_imports`). Other imported memories may hold anything.
    Bytes(&'a mut [u8]),
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
    /// Finds what is wrong without changing anything.
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

    /// Starts a slot. What exists already stays as it is.
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

    /// Ends what [`start`](Self::start) has started.
    pub(super) fn undo(&mut self) {
        match self {
            Self::Slot { slot, .. } => {
                // Where that fails, the slot is poisoned and says so at its next use.
                let _ = slot.reset();
            }
            #[cfg(feature = "std")]
            Self::Pool { slot, .. } => **slot = None,
            #[cfg(feature = "std")]
            Self::Pooled(_) => {}
            Self::Bytes(_) => {}
        }
    }

    /// Copies the image where it could not be mapped.
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

/// The memories of an instance, all started, while segments are replayed.
pub(super) struct Memories<'a, 'm> {
    // Invariant: as many as `memories`.
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
        let bytes = self.memories[position(memory)].as_mut_slice();
        let target = usize::try_from(init.offset).ok().and_then(|at| {
            let end = at.checked_add(init.data.len())?;
            bytes.get_mut(at..end)
        });
        // Always there: the caller has compared both ends with the size.
        target.is_some_and(|target| {
            target.copy_from_slice(&init.data);
            true
        })
    }
}

fn position(memory: MemoryIndex) -> usize {
    usize::try_from(memory.as_u32()).unwrap_or(usize::MAX)
}

fn len_u64(bytes: &[u8]) -> u64 {
    // Never saturates: no target has more than 64 bits.
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
