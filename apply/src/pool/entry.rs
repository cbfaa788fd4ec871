//! A slot of a pool, and what the pool knows of it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

use super::slab::NoRoom;
use crate::image::MemoryImage;
use crate::slot::MemorySlot;

/// A slot of a pool. Whoever has it is its only user, and whoever passes it on keeps
/// nothing. It moves as a pointer, not as its bytes.
#[derive(Debug)]
pub(super) struct Owned(Box<[Entry; 1]>);

/// What a pool knows of a slot.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) slot: MemorySlot,
    /// What it held when that was last looked at, in bytes: see
    /// [`Shared::settle`](super::shared::Shared::settle). Its own pages and page tables.
    pub(super) resident: u64,
    /// Page tables alone.
    pub(super) tables: u64,
    /// Where it goes back to. While it is away, the free list of that shard keeps a place.
    pub(super) shard: usize,
    /// How many images had been retired when its use began: see
    /// [`Retired`](super::retired::Retired).
    pub(super) epoch: u64,
    /// Its pages were discarded since its last use: that cannot free more.
    pub(super) is_discarded: bool,
}

impl Owned {
    pub(super) fn new(entry: Entry) -> Result<Self, NoRoom> {
        // `Box::try_new` is not stable.
        let mut one = Vec::new();
        one.try_reserve_exact(1).map_err(|_| NoRoom)?;
        one.push(entry);
        let one: Result<Box<[Entry; 1]>, _> = one.into_boxed_slice().try_into();
        one.map(Self).map_err(|_| NoRoom)
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
    /// Begins a use.
    pub(super) const fn begin(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.is_discarded = false;
    }
}

/// Which image a slot holds: its address, or 0 for none. As long as a slot holds the
/// image, no other one can have its address.
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

/// How a start finds its slot, from the cheapest to the most expensive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It holds the image.
    Hit,
    /// It holds none, or is new.
    Blank,
    /// It holds another one.
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
