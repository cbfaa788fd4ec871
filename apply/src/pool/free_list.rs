//! The unused slots of one shard, found by image and by age.
//!
//! Each slot that may be returned has a place reserved here from the moment it is created
//! or moved from another shard ([`FreeList::reserve_place`]), so returning it never
//! allocates. Every operation takes constant time.

use super::entry::{Key, Owned};
use super::image_index::{GroupPlace, ImageIndex};
use super::slab::{List, Place, ReserveError, Slab};
use super::stats::PoolStats;

/// All slots in the order in which they were returned: each is in `ready` or `used`.
const AGE: usize = 0;
/// Ready slots that hold the same image.
const IMAGE: usize = 1;
/// Ready slots that have pages to discard.
const KEPT: usize = 2;

/// An unused slot.
#[derive(Debug)]
struct Held {
    entry: Owned,
    /// The group that it is found by; `None` if it is not reset yet.
    group: Option<GroupPlace>,
    is_kept: bool,
}

/// The unused slots of one shard.
#[derive(Debug, Default)]
pub(super) struct FreeList {
    slab: Slab<Held, 3>,
    images: ImageIndex,
    // Each list starts with the oldest.
    ready: List,
    used: List,
    kept: List,
    /// Places reserved for slots that may be returned. Together with the slots that are
    /// here, at most `capacity`.
    n_reserved: usize,
    /// The number of slots that `slab` and `images` have room for.
    capacity: usize,
    /// The pool was dropped: nothing may be added.
    pub(super) is_closed: bool,
    pub(super) stats: PoolStats,
}

/// Where a slot is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is ready, and the most recently used.
    Newest,
    /// It is ready, and the least recently used.
    Oldest,
    /// It must be reset.
    Used,
}

impl FreeList {
    /// Reserves a place for one more slot.
    pub(super) fn reserve_place(&mut self) -> Result<(), ReserveError> {
        let needed = self.slab.len() + self.n_reserved + 1;
        if self.capacity < needed {
            let doubled = needed.max(4).saturating_mul(2);
            self.reserve(doubled).or_else(|_| self.reserve(needed))?;
        }
        self.n_reserved += 1;
        Ok(())
    }

    fn reserve(&mut self, capacity: usize) -> Result<(), ReserveError> {
        self.slab.try_reserve(capacity)?;
        self.images.try_reserve(capacity)?;
        self.capacity = capacity;
        Ok(())
    }

    /// Releases the place of a slot that will not be returned.
    pub(super) const fn release_place(&mut self) {
        self.n_reserved = self.n_reserved.saturating_sub(1);
    }

    /// Adds a slot for which a place is reserved.
    pub(super) fn put(&mut self, entry: Owned, end: End) {
        self.release_place();
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

    /// Takes a slot that holds the image, or otherwise one that holds none.
    pub(super) fn take_suitable(&mut self, want: Key) -> Option<Owned> {
        self.take_newest(want)
            .or_else(|| self.take_newest(Key::NONE))
    }

    /// Takes the most recently used slot of those that hold an image: its pages are still
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

    /// Takes the slot that has been ready for longest of those with pages to discard.
    pub(super) fn take_coldest(&mut self) -> Option<Owned> {
        self.take(self.kept.first()?)
    }

    /// Takes the slot that has been queued for a reset for longest.
    pub(super) fn take_used(&mut self) -> Option<Owned> {
        self.take(self.used.first()?)
    }

    /// Searches the next `n_left` slots queued for a reset for one that holds the image,
    /// and takes it; the others move to the end of the queue.
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

    /// Removes a slot; its place stays reserved.
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
        self.n_reserved += 1;
        self.slab.remove(place).map(|held| held.entry)
    }

    /// Returns how many slots are ready.
    pub(super) const fn n_ready(&self) -> usize {
        self.ready.len()
    }

    /// Returns how many slots are queued for a reset.
    pub(super) const fn n_used(&self) -> usize {
        self.used.len()
    }

    /// Returns the counters and the current numbers of slots.
    pub(super) fn stats(&self) -> PoolStats {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        PoolStats {
            n_ready: count(self.ready.len()),
            n_queued: count(self.used.len()),
            ..self.stats
        }
    }
}

#[cfg(test)]
mod tests {
    //! Compares with a naive model: one vector of ready slots and one of used ones.

    use super::super::entry::Entry;
    use super::*;
    use crate::image::MemoryImage;
    use crate::slot::MemorySlot;
    use crate::slot::SlotConfig;
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use core::time::Duration;
    use proptest::prelude::*;
    use std::time::Instant;
    use wasm_meminit_image_builder::Image;

    const N_IMAGES: usize = 5;

    #[derive(Clone, Debug)]
    enum Op {
        Make(End, Option<usize>, u64),
        /// Returns a slot that was taken before.
        PutBack(usize, End),
        TakeSuitable(Option<usize>),
        TakeOldest,
        TakeColdest,
        TakeUsed,
        TakeUsedOf(Option<usize>),
        Release(usize),
    }

    /// What the model tracks about a slot; a slot's epoch is its id.
    #[derive(Clone, Copy, Debug)]
    struct Known {
        id: u64,
        key: Key,
        is_kept: bool,
    }

    #[derive(Default)]
    struct Model {
        ready: Vec<Known>,
        used: Vec<Known>,
    }

    impl Model {
        fn put(&mut self, entry: &Entry, end: End) {
            let known = Known {
                id: entry.epoch,
                key: Key::of(entry.slot.image()),
                is_kept: entry.resident != 0 && !entry.is_discarded,
            };
            match end {
                End::Newest => self.ready.push(known),
                End::Oldest => self.ready.insert(0, known),
                End::Used => self.used.push(known),
            }
        }

        fn take(&mut self, is_it: impl Fn(&Known) -> bool, newest: bool) -> Option<u64> {
            let at = if newest {
                self.ready.iter().rposition(is_it)
            } else {
                self.ready.iter().position(is_it)
            };
            at.map(|at| self.ready.remove(at).id)
        }

        fn take_used(&mut self) -> Option<u64> {
            (!self.used.is_empty()).then(|| self.used.remove(0).id)
        }
    }

    fn end() -> impl Strategy<Value = End> {
        prop_oneof![4 => Just(End::Newest), 1 => Just(End::Oldest), 2 => Just(End::Used)]
    }

    fn op() -> impl Strategy<Value = Op> {
        let image = || prop::option::of(0..N_IMAGES);
        prop_oneof![
            4 => (end(), image(), 0_u64..3).prop_map(|(end, image, n)| Op::Make(end, image, n)),
            3 => (0_usize..100, end()).prop_map(|(nth, end)| Op::PutBack(nth, end)),
            3 => image().prop_map(Op::TakeSuitable),
            1 => Just(Op::TakeOldest),
            1 => Just(Op::TakeColdest),
            1 => Just(Op::TakeUsed),
            1 => image().prop_map(Op::TakeUsedOf),
            1 => (0_usize..100).prop_map(Op::Release),
        ]
    }

    fn check(ops: Vec<Op>) {
        let image = || Image::capture(&[]).expect("small");
        let image = || Arc::new(MemoryImage::in_heap(image().as_ref()).expect("room"));
        let images: Vec<_> = (0..N_IMAGES).map(|_| image()).collect();
        let key = |image: Option<usize>| Key::of(image.map(|nth| &images[nth]));
        let mut list = FreeList::default();
        let mut model = Model::default();
        let mut away: Vec<Owned> = Vec::new();
        let mut n_made = 0;
        for op in ops {
            let (taken, expected) = match op {
                Op::Make(end, image, resident) => {
                    let mut slot = MemorySlot::new(&SlotConfig::new(0)).expect("room");
                    slot.image = image.map(|nth| Arc::clone(&images[nth]));
                    let entry = Owned::new(Entry {
                        slot,
                        resident,
                        tables: 0,
                        shard: 0,
                        epoch: n_made,
                        is_discarded: false,
                    });
                    n_made += 1;
                    let entry = entry.expect("room");
                    list.reserve_place().expect("room");
                    model.put(&entry, end);
                    list.put(entry, end);
                    (None, None)
                }
                Op::PutBack(nth, end) => {
                    if !away.is_empty() {
                        let mut entry = away.swap_remove(nth % away.len());
                        entry.is_discarded = end == End::Oldest;
                        model.put(&entry, end);
                        list.put(entry, end);
                    }
                    (None, None)
                }
                Op::TakeSuitable(image) => {
                    let want = key(image);
                    let held = model.take(|it| it.key == want, true);
                    let expected = held.or_else(|| model.take(|it| it.key == Key::NONE, true));
                    (list.take_suitable(want), expected)
                }
                Op::TakeOldest => (list.take_oldest(), model.take(|_| true, false)),
                Op::TakeColdest => (list.take_coldest(), model.take(|it| it.is_kept, false)),
                Op::TakeUsed => (list.take_used(), model.take_used()),
                Op::TakeUsedOf(image) => {
                    let want = key(image);
                    let mut n_left = list.n_used();
                    let at = model.used.iter().position(|it| it.key == want);
                    model.used.rotate_left(at.unwrap_or(0));
                    let expected = at.and_then(|_| model.take_used());
                    (list.take_used_of(want, &mut n_left), expected)
                }
                Op::Release(nth) => {
                    if !away.is_empty() {
                        away.swap_remove(nth % away.len());
                        list.release_place();
                    }
                    (None, None)
                }
            };
            assert_eq!(taken.as_ref().map(|it| it.epoch), expected);
            away.extend(taken);
            assert_eq!(list.n_ready(), model.ready.len());
            assert_eq!(list.n_used(), model.used.len());
            assert_eq!(list.n_reserved, away.len());
            assert!(list.slab.len() + list.n_reserved <= list.capacity);
            assert!(list.capacity <= list.slab.capacity());
        }
    }

    /// Returns how long it takes to find the only slot with pages to discard, which is the
    /// newest of this many ready ones.
    fn time_of_coldest(n_slots: u64) -> Duration {
        let mut list = FreeList::default();
        for nth in 0..n_slots {
            let entry = Owned::new(Entry {
                slot: MemorySlot::new(&SlotConfig::new(0)).expect("room"),
                resident: u64::from(nth + 1 == n_slots),
                tables: 0,
                shard: 0,
                epoch: nth,
                is_discarded: false,
            });
            list.reserve_place().expect("room");
            list.put(entry.expect("room"), End::Newest);
        }
        let times = (0..100).map(|_| {
            let start = Instant::now();
            let found = list.take_coldest().expect("one");
            let time = start.elapsed();
            assert_eq!(found.epoch, n_slots - 1);
            list.put(found, End::Newest);
            time
        });
        times.min().expect("several")
    }

    #[test]
    fn the_coldest_slot_is_found_at_once() {
        let (few, many) = (time_of_coldest(20), time_of_coldest(20_000));
        // Linear would be a thousand times as long.
        assert!(
            many < 100 * few.max(Duration::from_nanos(20)),
            "{few:?}, {many:?}"
        );
    }

    proptest! {
        #[test]
        fn slots_are_found_as_by_a_linear_search(
            ops in prop::collection::vec(op(), 1..150)
        ) {
            check(ops);
        }
    }
}
