//! A slot in use, which returns itself to its pool when dropped.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

use super::entry::{Entry, Owned};
use super::shared::{Padded, Shared};
use crate::error::SlotError;
use crate::slot::MemorySlot;
use crate::slot::WorkingSet;

/// Keeps a pool's shared state alive while one of its slots is in use. There is one for
/// each shard, so that threads do not contend on one reference count.
pub(super) type PoolHandle = Arc<Padded<Arc<Shared>>>;

/// A slot of a [`SlotPool`](crate::SlotPool), started and in use.
///
/// Dereferences to a [`MemorySlot`]. Of the methods that change a slot, it offers only
/// those for a memory in use, so a caller cannot end the use and keep the slot, or swap
/// it for another one.
///
/// Dropping it, also during a panic, ends the use: the slot is reset, or queued for a
/// reset, before it can be acquired again. If it is leaked (`mem::forget`), its place in
/// the pool is lost.
pub struct PooledSlot {
    // Invariant: `None` only after `drop` took it.
    entry: Option<Owned>,
    handle: PoolHandle,
}

impl PooledSlot {
    pub(super) const fn new(entry: Owned, handle: PoolHandle) -> Self {
        Self {
            entry: Some(entry),
            handle,
        }
    }

    fn entry(&self) -> &Entry {
        self.entry.as_deref().expect("taken by drop only")
    }

    fn slot_mut(&mut self) -> &mut MemorySlot {
        &mut self.entry.as_deref_mut().expect("taken by drop only").slot
    }

    /// Returns the memory's bytes, writable.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.slot_mut().as_mut_slice()
    }

    /// Returns the address of the memory's first byte: see [`MemorySlot::as_ptr`].
    ///
    /// The pointer must not be used after this is dropped.
    pub fn as_ptr(&mut self) -> *mut u8 {
        self.slot_mut().as_ptr()
    }

    /// Grows the memory to `bytes` bytes; the new bytes are zero.
    ///
    /// # Errors
    ///
    /// As for [`MemorySlot::grow`].
    pub fn grow(&mut self, bytes: u64) -> Result<(), SlotError> {
        self.slot_mut().grow(bytes)
    }

    /// Makes every byte of the memory zero, as if there were no image.
    ///
    /// # Errors
    ///
    /// As for [`MemorySlot::zero`].
    pub fn zero(&mut self) -> Result<(), SlotError> {
        self.slot_mut().zero()
    }

    /// Faults in the pages of a working set, and returns how many bytes.
    ///
    /// # Errors
    ///
    /// As for [`MemorySlot::prefetch`].
    pub fn prefetch(&mut self, pages: &WorkingSet) -> Result<u64, SlotError> {
        self.slot_mut().prefetch(pages)
    }
}

impl Deref for PooledSlot {
    type Target = MemorySlot;

    fn deref(&self) -> &MemorySlot {
        &self.entry().slot
    }
}

impl Drop for PooledSlot {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.handle.0.take_back(entry);
        }
    }
}

impl fmt::Debug for PooledSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledSlot")
            .field(&self.entry().slot)
            .finish()
    }
}
