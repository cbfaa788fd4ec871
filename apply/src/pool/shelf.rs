//! The slots of one shard that nobody uses, found by image and by age.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(usize);

impl Key {
    const NONE: Self = Self(0);

    pub(super) fn of(image: Option<&Arc<MemoryImage>>) -> Self {
        image.map_or(Self::NONE, |image| Self(Arc::as_ptr(image).addr()))
    }
}

/// How long a slot has been ready: less is longer. Only within a shelf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Age(u64);

/// The slots of one shard that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    // Invariant: `ready` has `(key, age)` exactly if `by_age` has `age: key`.
    ready: BTreeMap<(Key, Age), Owned>,
    by_age: BTreeMap<Age, Key>,
    next_age: Age,
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
        let (age, key) = self.by_age.pop_first()?;
        self.stats.n_maps += 1;
        self.ready.remove(&(key, age))
    }

    /// Takes the one most recently used: its pages are still in the caches.
    fn take_newest(&mut self, key: Key) -> Option<Owned> {
        let range = (key, Age(0))..=(key, Age(u64::MAX));
        let (&(_, age), _) = self.ready.range(range).next_back()?;
        self.by_age.remove(&age);
        self.ready.remove(&(key, age))
    }

    /// Adds a slot that is ready. Gives it back if the pool is gone.
    pub(super) fn put(&mut self, entry: Owned) -> Result<(), Owned> {
        let age = self.next_age;
        self.next_age = Age(age.0 + 1);
        self.put_as_old(entry, age)
    }

    /// The same, with an age from [`take_coldest`](Self::take_coldest).
    pub(super) fn put_as_old(&mut self, entry: Owned, age: Age) -> Result<(), Owned> {
        if self.is_closed {
            return Err(entry);
        }
        let key = Key::of(entry.slot.image());
        self.by_age.insert(age, key);
        self.ready.insert((key, age), entry);
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
        core::mem::take(&mut self.used)
    }

    /// Takes slots with resident pages, those ready for longest first, until they have
    /// `bytes` together; at most a quarter of all, but one.
    pub(super) fn take_coldest(&mut self, bytes: u64) -> Vec<(Age, Owned)> {
        let max = self.by_age.len().div_ceil(4);
        let mut sum = 0;
        let mut found = Vec::new();
        for (&age, &key) in &self.by_age {
            if max <= found.len() || bytes <= sum {
                break;
            }
            let resident = self.ready.get(&(key, age)).map_or(0, |it| it.resident);
            if resident != 0 {
                sum += resident;
                found.push((age, key));
            }
        }
        let mut taken = Vec::with_capacity(found.len());
        for (age, key) in found {
            self.by_age.remove(&age);
            taken.extend(self.ready.remove(&(key, age)).map(|entry| (age, entry)));
        }
        taken
    }

    /// Takes every ready slot that holds the image.
    pub(super) fn take_all(&mut self, key: Key) -> Vec<Owned> {
        core::iter::from_fn(|| self.take_newest(key)).collect()
    }

    /// Takes everything; nothing may be added any more.
    pub(super) fn close(&mut self) -> Vec<Owned> {
        self.is_closed = true;
        self.by_age.clear();
        let ready = core::mem::take(&mut self.ready);
        ready.into_values().chain(self.take_used()).collect()
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
