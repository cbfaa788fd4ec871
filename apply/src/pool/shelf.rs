//! The slots of one shard that nobody uses, found by image and by age.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::{iter, mem};

use super::stats::PoolStats;
use crate::image::MemoryImage;
use crate::slot::MemorySlot;

/// A slot of a pool. Whoever has it is its only user, and whoever passes it on keeps
/// nothing. It moves as a pointer, not as its bytes.
pub(super) type Owned = Box<Entry>;

/// What a pool knows of a slot.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) slot: MemorySlot,
    /// What it kept resident at its last reset, in bytes.
    pub(super) resident: u64,
}

/// Which image a slot holds: its address, or 0 for none. As long as a slot holds the
/// image, no other one can have its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(usize);

impl Key {
    const NONE: Self = Self(0);

    pub(super) fn of(image: Option<&Arc<MemoryImage>>) -> Self {
        image.map_or(Self::NONE, |image| Self(Arc::as_ptr(image).addr()))
    }
}

/// The slots of one shard that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    // Invariant: what each of `ready` holds is in `keys`, in the same place. Slots come
    // and go at the end, where a thread finds its last one again at once; to look for
    // others is to run over a few bytes for each.
    /// Those ready for longest first.
    ready: VecDeque<Owned>,
    keys: VecDeque<Key>,
    /// Used, and not yet reset.
    used: Vec<Owned>,
    /// The pool is gone: nothing may be added.
    is_closed: bool,
    pub(super) stats: PoolStats,
}

impl Shelf {
    /// Takes a slot that holds the image, or else one that holds none.
    pub(super) fn take_suitable(&mut self, want: Key) -> Option<Owned> {
        if let Some(entry) = self.take_newest(want) {
            self.stats.n_hits += 1;
            return Some(entry);
        }
        let entry = self.take_newest(Key::NONE)?;
        self.stats.n_blank += 1;
        Some(entry)
    }

    /// Takes the slot that has been ready for longest, whatever it holds.
    pub(super) fn take_oldest(&mut self) -> Option<Owned> {
        let entry = self.take_at(0)?;
        self.stats.n_maps += 1;
        Some(entry)
    }

    /// Takes the one most recently used: its pages are still in the caches.
    fn take_newest(&mut self, key: Key) -> Option<Owned> {
        let at = self.keys.iter().rposition(|held| *held == key)?;
        self.take_at(at)
    }

    fn take_at(&mut self, at: usize) -> Option<Owned> {
        self.keys.remove(at)?;
        self.ready.remove(at)
    }

    /// Adds a slot that is ready. Gives it back if the pool is gone.
    pub(super) fn put(&mut self, entry: Owned) -> Result<(), Owned> {
        if self.is_closed {
            return Err(entry);
        }
        self.keys.push_back(Key::of(entry.slot.image()));
        self.ready.push_back(entry);
        Ok(())
    }

    /// The same, for one that has been ready for longer than any other.
    pub(super) fn put_as_oldest(&mut self, entry: Owned) -> Result<(), Owned> {
        if self.is_closed {
            return Err(entry);
        }
        self.keys.push_front(Key::of(entry.slot.image()));
        self.ready.push_front(entry);
        Ok(())
    }

    /// Adds a slot that is to be reset, and says how many there are now.
    pub(super) fn put_used(&mut self, entry: Owned) -> Result<usize, Owned> {
        if self.is_closed {
            return Err(entry);
        }
        self.used.push(entry);
        Ok(self.used.len())
    }

    /// Takes all slots that are to be reset.
    pub(super) fn take_used(&mut self) -> Vec<Owned> {
        mem::take(&mut self.used)
    }

    /// Takes slots, those ready for longest first, until they have `bytes` resident
    /// together; at most a quarter of all, but one.
    pub(super) fn take_coldest(&mut self, bytes: u64) -> Vec<Owned> {
        let max = self.ready.len().div_ceil(4);
        let mut sum = 0;
        let mut taken = Vec::new();
        let resident = |entry: &Owned| entry.resident != 0;
        while taken.len() < max && sum < bytes {
            let Some(at) = self.ready.iter().position(resident) else {
                break;
            };
            let entry = self.take_at(at);
            sum += entry.as_ref().map_or(0, |entry| entry.resident);
            taken.extend(entry);
        }
        taken
    }

    /// Takes every ready slot that holds the image.
    pub(super) fn take_all(&mut self, key: Key) -> Vec<Owned> {
        iter::from_fn(|| self.take_newest(key)).collect()
    }

    /// Takes everything; nothing may be added any more.
    pub(super) fn close(&mut self) -> Vec<Owned> {
        self.is_closed = true;
        self.keys.clear();
        let ready = mem::take(&mut self.ready);
        ready.into_iter().chain(self.take_used()).collect()
    }

    /// What was counted, and what is there.
    pub(super) fn stats(&self) -> PoolStats {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        PoolStats {
            n_ready: count(self.ready.len()),
            n_queued: count(self.used.len()),
            ..self.stats
        }
    }
}
