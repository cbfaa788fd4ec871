//! The slots of one shard that nobody uses, found by image and by age.
//!
//! Each slot that may come back has a place reserved here from the moment it is made or
//! taken over from another shard ([`FreeList::promise`]): to put it back never allocates.
//! Every operation costs the same however many slots there are.

use super::entry::{Key, Owned};
use super::image_index::{GroupPlace, ImageIndex};
use super::slab::{List, NoRoom, Place, Slab};
use super::stats::PoolStats;

/// In the order in which slots came: each is in `ready` or `used`.
const AGE: usize = 0;
/// The ready ones that hold the same image.
const IMAGE: usize = 1;
/// The ready ones that have pages to be discarded.
const KEPT: usize = 2;

/// A slot that nobody uses.
#[derive(Debug)]
struct Held {
    entry: Owned,
    /// What it is found by; `None` where it is not reset yet.
    group: Option<GroupPlace>,
    is_kept: bool,
}

/// The slots of one shard that nobody uses.
#[derive(Debug, Default)]
pub(super) struct FreeList {
    slab: Slab<Held, 3>,
    images: ImageIndex,
    // Each list begins with the oldest.
    ready: List,
    used: List,
    kept: List,
    /// Slots that may come back here. With those that are here, at most `capacity`.
    n_promised: usize,
    /// For how many slots `slab` and `images` have room.
    capacity: usize,
    /// The pool is gone: nothing may be added.
    pub(super) is_closed: bool,
    pub(super) stats: PoolStats,
}

/// Where a slot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is ready, and was used last.
    Newest,
    /// It is ready, and was used before all others.
    Oldest,
    /// It is to be reset.
    Used,
}

impl FreeList {
    /// Keeps a place for one more slot.
    pub(super) fn promise(&mut self) -> Result<(), NoRoom> {
        let needed = self.slab.len() + self.n_promised + 1;
        if self.capacity < needed {
            let doubled = needed.max(4).saturating_mul(2);
            self.reserve(doubled).or_else(|_| self.reserve(needed))?;
        }
        self.n_promised += 1;
        Ok(())
    }

    fn reserve(&mut self, capacity: usize) -> Result<(), NoRoom> {
        self.slab.try_reserve(capacity)?;
        self.images.try_reserve(capacity)?;
        self.capacity = capacity;
        Ok(())
    }

    /// Gives the place of a slot up that will not come back.
    pub(super) const fn release(&mut self) {
        self.n_promised = self.n_promised.saturating_sub(1);
    }

    /// Adds a slot that a place is kept for.
    pub(super) fn put(&mut self, entry: Owned, end: End) {
        self.release();
        if end == End::Used {
            let place = self.slab.insert(Held {
                entry,
                group: None,
                is_kept: false,
            });
            return self.slab.push_last(AGE, &mut self.used, place);
        }
        let group = self.images.find_or_insert(Key::of(entry.slot.image()));
        let is_kept = entry.resident != 0 && !entry.is_discarded;
        let place = self.slab.insert(Held {
            entry,
            group: Some(group),
            is_kept,
        });
        let Some(slots) = self.images.slots_mut(group) else {
            return;
        };
        if end == End::Oldest {
            self.slab.push_first(AGE, &mut self.ready, place);
            self.slab.push_first(IMAGE, slots, place);
            if is_kept {
                self.slab.push_first(KEPT, &mut self.kept, place);
            }
        } else {
            self.slab.push_last(AGE, &mut self.ready, place);
            self.slab.push_last(IMAGE, slots, place);
            if is_kept {
                self.slab.push_last(KEPT, &mut self.kept, place);
            }
        }
    }

    /// Takes a slot that holds the image, or else one that holds none.
    pub(super) fn take_suitable(&mut self, want: Key) -> Option<Owned> {
        self.take_newest(want)
            .or_else(|| self.take_newest(Key::NONE))
    }

    /// Takes the one most recently used of those that hold an image: its pages are still
    /// in the caches.
    pub(super) fn take_newest(&mut self, key: Key) -> Option<Owned> {
        let group = self.images.find(key)?;
        let place = self.images.slots(group)?.last()?;
        self.take(place)
    }

    /// Takes the slot that has been ready for longest, whatever it holds.
    pub(super) fn take_oldest(&mut self) -> Option<Owned> {
        self.take(self.ready.first()?)
    }

    /// Takes the slot that has been ready for longest of those whose pages can be
    /// discarded.
    pub(super) fn take_coldest(&mut self) -> Option<Owned> {
        self.take(self.kept.first()?)
    }

    /// Takes the slot that has waited for longest to be reset.
    pub(super) fn take_used(&mut self) -> Option<Owned> {
        self.take(self.used.first()?)
    }

    /// Takes a slot that holds the image off the next `n_left` that are to be reset; the
    /// others go to the end.
    pub(super) fn take_used_of(&mut self, key: Key, n_left: &mut usize) -> Option<Owned> {
        while let Some(left) = n_left.checked_sub(1) {
            *n_left = left;
            let entry = self.take_used()?;
            if Key::of(entry.slot.image()) == key {
                return Some(entry);
            }
            self.put(entry, End::Used);
        }
        None
    }

    /// Takes a slot out; its place is kept.
    fn take(&mut self, place: Place) -> Option<Owned> {
        let held = self.slab.get(place)?;
        let (group, is_kept) = (held.group, held.is_kept);
        match group {
            Some(group) => {
                self.slab.unlink(AGE, &mut self.ready, place);
                if let Some(slots) = self.images.slots_mut(group) {
                    self.slab.unlink(IMAGE, slots, place);
                }
                self.images.remove_if_empty(group);
            }
            None => self.slab.unlink(AGE, &mut self.used, place),
        }
        if is_kept {
            self.slab.unlink(KEPT, &mut self.kept, place);
        }
        self.n_promised += 1;
        self.slab.remove(place).map(|held| held.entry)
    }

    /// How many slots are ready.
    pub(super) const fn n_ready(&self) -> usize {
        self.ready.len()
    }

    /// How many slots are to be reset.
    pub(super) const fn n_used(&self) -> usize {
        self.used.len()
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
