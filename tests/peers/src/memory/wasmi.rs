//! wasmi: buffers for `Memory::new_static`.
#![allow(
    unsafe_code,
    reason = "the engine requires a buffer with a static lifetime"
)]

use core::slice;

use anyhow::Result;
use wasm_meminit_apply::{PoolConfig, PooledSlot, SlotConfig, SlotPool};
use wasmi::{AsContext, AsContextMut, Engine, Memory, MemoryType, Store};
use wasmi::{StoreContext, StoreContextMut};

use super::MAX_SLOTS;

/// The largest memory in bytes: a memory cannot outgrow its buffer.
const MAX_BYTES: u64 = 256 << 20;

// ANCHOR: wasmi
/// Reusable buffers for the memories of instances.
#[derive(Clone, Debug)]
pub(crate) struct Buffers(SlotPool);

impl Buffers {
    pub(crate) fn new() -> Self {
        let slot = SlotConfig::new(MAX_BYTES);
        Self(SlotPool::new(PoolConfig::new(slot, MAX_SLOTS)))
    }

    /// Creates a store with a zeroed memory of that type.
    ///
    /// # Errors
    ///
    /// The minimum does not fit in a buffer, or the system is out of memory.
    pub(crate) fn store_with_memory<T>(
        &self,
        engine: &Engine,
        data: T,
        ty: MemoryType,
    ) -> Result<(BufferedStore<T>, Memory)> {
        let mut buffer = self.0.try_acquire(None, MAX_BYTES)?;
        let len = buffer.as_slice().len();
        // SAFETY: valid for `len` bytes for as long as `buffer` lives, and nothing else reads
        // or writes them: `BufferedStore` only keeps the buffer until the store is dropped.
        let bytes: &'static mut [u8] = unsafe { slice::from_raw_parts_mut(buffer.as_ptr(), len) };
        let mut store = BufferedStore {
            store: Store::new(engine, data),
            _buffer: Some(buffer),
        };
        let memory = Memory::new_static(&mut store, within_buffer(ty)?, bytes)?;
        Ok((store, memory))
    }
}

/// Returns the type of a memory that never outgrows its buffer: wasmi would panic, which ends
/// the process. A module that imports a memory accepts one with a smaller maximum.
fn within_buffer(ty: MemoryType) -> Result<MemoryType> {
    let buffer_pages = MAX_BYTES >> 16;
    let max = ty.maximum().map_or(buffer_pages, |it| it.min(buffer_pages));
    let mut bounded = MemoryType::builder();
    bounded
        .memory64(ty.is_64())
        .min(ty.minimum())
        .max(Some(max));
    Ok(bounded.build()?)
}

/// A store, and the buffer of its memory if that is one of ours.
///
/// It exposes only a context, so that nothing can move the store out and leave the buffer.
pub(crate) struct BufferedStore<T: 'static> {
    // The order matters: fields are dropped from first to last.
    store: Store<T>,
    _buffer: Option<PooledSlot>,
}

impl<T> From<Store<T>> for BufferedStore<T> {
    fn from(store: Store<T>) -> Self {
        Self {
            store,
            _buffer: None,
        }
    }
}

impl<T> AsContext for BufferedStore<T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        self.store.as_context()
    }
}

impl<T> AsContextMut for BufferedStore<T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        self.store.as_context_mut()
    }
}
// ANCHOR_END: wasmi

impl<T> BufferedStore<T> {
    pub(crate) fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }
}

impl<T> core::fmt::Debug for BufferedStore<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("BufferedStore").finish_non_exhaustive()
    }
}
