//! Finds a shard's slots by image: a hash table of lists.
//!
//! Not the standard library's hash table: that may allocate when an entry is added, even
//! if it never held more entries, because it rebuilds itself when removed entries have
//! used up its space.

use alloc::vec::Vec;

use super::entry::Key;
use super::slab::{List, Place, ReserveError, Slab};

/// The kind of list that links the groups of one bucket.
const BUCKET: usize = 0;

/// Slots that hold the same image, as places in the shard's slab.
#[derive(Debug)]
struct Group {
    key: Key,
    slots: List,
}

/// Lists of slots by image.
#[derive(Debug, Default)]
pub(super) struct ImageIndex {
    // Invariants:
    // 1. The number of buckets is 0 or a power of two.
    // 2. No list is empty, except that of `recent`.
    buckets: Vec<List>,
    groups: Slab<Group, 1>,
    /// The list that was looked up last. A thread that starts from the same image again
    /// and again takes its last slot and returns it: neither hashes nor changes a bucket.
    recent: Option<GroupPlace>,
}

/// A list of the index: see [`ImageIndex::find`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupPlace(Place);

impl ImageIndex {
    /// Reserves space for this many images in all.
    pub(super) fn try_reserve(&mut self, capacity: usize) -> Result<(), ReserveError> {
        // The recent list may be empty, in addition to all others.
        self.groups.try_reserve(capacity.saturating_add(1))?;
        let n_buckets = capacity.checked_next_power_of_two().ok_or(ReserveError)?;
        if n_buckets <= self.buckets.len() {
            return Ok(());
        }
        let mut buckets = Vec::new();
        buckets
            .try_reserve_exact(n_buckets)
            .map_err(|_| ReserveError)?;
        buckets.resize(n_buckets, List::default());
        let old = core::mem::replace(&mut self.buckets, buckets);
        for mut bucket in old {
            while let Some(place) = bucket.first() {
                self.groups.unlink(BUCKET, &mut bucket, place);
                if let Some(at) = self.groups.get(place).map(|it| self.bucket(it.key)) {
                    self.groups.push_first(BUCKET, &mut self.buckets[at], place);
                }
            }
        }
        Ok(())
    }

    /// Returns the list of an image, if it has one.
    pub(super) fn find(&mut self, key: Key) -> Option<GroupPlace> {
        if let Some(recent) = self.recent
            && self.groups.get(recent.0).is_some_and(|it| it.key == key)
        {
            return Some(recent);
        }
        let found = self.look_up(key)?;
        self.set_recent(found);
        Some(found)
    }

    fn look_up(&self, key: Key) -> Option<GroupPlace> {
        let mut next = self.buckets.get(self.bucket(key))?.first();
        while let Some(place) = next {
            if self.groups.get(place).is_some_and(|it| it.key == key) {
                return Some(GroupPlace(place));
            }
            next = self.groups.after(BUCKET, place);
        }
        None
    }

    /// Returns the list of an image, creating it if necessary. Allocates only beyond what
    /// was reserved.
    pub(super) fn find_or_insert(&mut self, key: Key) -> GroupPlace {
        if let Some(group) = self.find(key) {
            return group;
        }
        let slots = List::default();
        let place = self.groups.insert(Group { key, slots });
        let at = self.bucket(key);
        self.groups.push_first(BUCKET, &mut self.buckets[at], place);
        self.set_recent(GroupPlace(place));
        GroupPlace(place)
    }

    fn set_recent(&mut self, group: GroupPlace) {
        if let Some(before) = self.recent.replace(group) {
            self.remove_if_empty(before);
        }
    }

    pub(super) fn slots(&self, group: GroupPlace) -> Option<&List> {
        self.groups.get(group.0).map(|it| &it.slots)
    }

    pub(super) fn slots_mut(&mut self, group: GroupPlace) -> Option<&mut List> {
        self.groups.get_mut(group.0).map(|it| &mut it.slots)
    }

    /// Removes a list if it is empty and not the recent one.
    pub(super) fn remove_if_empty(&mut self, group: GroupPlace) {
        if self.recent == Some(group) {
            return;
        }
        let Some(Group { key, slots }) = self.groups.get(group.0) else {
            return;
        };
        if slots.len() == 0 {
            let at = self.bucket(*key);
            self.groups.unlink(BUCKET, &mut self.buckets[at], group.0);
            self.groups.remove(group.0);
        }
    }

    /// Fibonacci hashing: addresses differ in their middle bits, which it spreads.
    const fn bucket(&self, key: Key) -> usize {
        let hash = (key.addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (hash as usize) & self.buckets.len().wrapping_sub(1)
    }
}
