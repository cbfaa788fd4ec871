//! A slot in use, which goes back to its pool by itself.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

use super::entry::{Entry, Owned};
use super::shared::{Padded, Shared};
use crate::error::SlotError;
use crate::slot::MemorySlot;
use crate::working_set::WorkingSet;

/// What keeps a pool's insides alive as long as one of its slots is in use: one for each
/// shard, so that threads do not meet on one reference count.
pub(super) type PoolHandle = Arc<Padded<Arc<Shared>>>;

/// A slot of a [`SlotPool`](crate::SlotPool), started and in use.
///
/// Reads as a [`MemorySlot`]; of what changes one, it offers what fits a memory in use.
/// So nobody can end the use, and keep the slot, or exchange it for another one.
///
/// Dropped, also by a panic, it ends the use: the slot is reset, or queued to be, before
/// anybody else can have it. Forgotten (`mem::forget`), its place in the pool is lost.
pub struct PooledSlot {
    // Invariant: taken by `drop` only.
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

    /// The memory's bytes, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.slot_mut().as_mut_slice()
    }

    /// The address of the memory's first byte: see [`MemorySlot::as_ptr`]. Nothing may
    /// use it once this is dropped.
    pub fn as_ptr(&mut self) -> *mut u8 {
        self.slot_mut().as_ptr()
    }

    /// Grows the memory to `bytes` bytes; the new ones are zero.
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
    /// As for [`MemorySlot::abandon`].
    pub fn abandon(&mut self) -> Result<(), SlotError> {
        self.slot_mut().abandon()
    }

    /// Faults the pages of a working set in, and returns how many bytes.
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
