//! A slot of a pool, and what the pool tracks about it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use super::slab::ReserveError;
use crate::image::MemoryImage;
use crate::slot::MemorySlot;

/// A slot of a pool, with a single owner: moving it transfers the slot completely. It
/// moves as a pointer, not as its bytes.
#[derive(Debug)]
pub(super) struct Owned(Box<[Entry; 1]>);

/// A slot and its state in the pool.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) slot: MemorySlot,
    /// Bytes it held when last counted, own pages and page tables: see
    /// [`Shared::update_counted`](super::shared::Shared::update_counted).
    pub(super) resident: u64,
    /// Bytes of page tables alone.
    pub(super) tables: u64,
    /// The shard that it returns to. While it is in use, that shard's free list reserves
    /// a place for it.
    pub(super) shard: usize,
    /// The number of images that had been retired when its use began: see
    /// [`Retired`](super::retired::Retired).
    pub(super) epoch: u64,
    /// Whether its pages were discarded since its last use: discarding again frees
    /// nothing.
    pub(super) is_discarded: bool,
}

impl Owned {
    pub(super) fn new(entry: Entry) -> Result<Self, ReserveError> {
        // `Box::try_new` is not stable.
        let mut one = Vec::new();
        one.try_reserve_exact(1).map_err(|_| ReserveError)?;
        one.push(entry);
        let one: Result<Box<[Entry; 1]>, _> = one.into_boxed_slice().try_into();
        one.map(Self).map_err(|_| ReserveError)
    }
}

impl Deref for Owned {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.0[0]
    }
}

impl DerefMut for Owned {
    fn deref_mut(&mut self) -> &mut Entry {
        &mut self.0[0]
    }
}

impl Entry {
    /// Begins a use in an epoch, and returns the epoch of the one before.
    pub(super) const fn begin(&mut self, epoch: u64) -> u64 {
        self.is_discarded = false;
        core::mem::replace(&mut self.epoch, epoch)
    }
}

/// Identifies the image that a slot holds: by its address, or 0 for none. As long as a
/// slot holds the image, no other one can have its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(usize);

impl Key {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn of(image: Option<&Arc<MemoryImage>>) -> Self {
        image.map_or(Self::NONE, |image| Self(Arc::as_ptr(image).addr()))
    }

    pub(super) const fn addr(self) -> usize {
        self.0
    }
}

/// The kind of slot that a start uses, from the cheapest to the most expensive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The slot holds the image.
    Hit,
    /// The slot holds none, or is new.
    Blank,
    /// The slot holds another one.
    TakeOver,
}

impl Kind {
    pub(super) fn of(entry: &Entry, want: Key) -> Self {
        match Key::of(entry.slot.image()) {
            held if held == want => Self::Hit,
            Key::NONE => Self::Blank,
            _ => Self::TakeOver,
        }
    }
}
