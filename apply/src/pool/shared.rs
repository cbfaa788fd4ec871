//! Shards, and the movement of slots between them and waiting threads.
//!
//! Locks are held for a few comparisons and never during a system call: a slot that needs
//! one is first taken off its free list, and so belongs to one thread alone. The queue's
//! lock is taken before a free list's, never while one is held, and no thread holds the
//! locks of two free lists.
//!
//! A slot is returned to the shard whose thread acquired it, where a place is reserved
//! for it: returning it allocates nothing, and the thread that ends the use need not be
//! the one that began it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use super::config::PoolConfig;
use super::entry::{Entry, Key, Owned};
use super::free_list::{End, FreeList};
use super::images::ByImage;
use super::retired::Retired;
use super::stats::PoolStats;
use super::sync::{AtomicU64, AtomicUsize, Mutex, Ordering, lock, nth_thread};
use super::wait_queue::{Handed, WaitQueue};
use crate::image::MemoryImage;

/// Occupies cache lines of its own: processors fetch two at a time.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

/// The state shared by all handles of a pool and all its slots in use.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: PoolConfig,
    shards: Box<[Padded<Mutex<FreeList>>]>,
    pub(super) queue: Padded<WaitQueue>,
    pub(super) retired: Padded<Retired>,
    // Invariants:
    // 1. The number of entries plus the number of permits to create one, at most
    //    `config.max_slots`. Decreased only under the queue's lock, after finding that no
    //    thread waits for the permit.
    // 2. The sum of `resident` of all entries. Written only when a reset changes it,
    //    which is rare.
    pub(super) n_slots: Padded<AtomicUsize>,
    pub(super) resident: Padded<AtomicU64>,
    /// The sum of `tables` of all entries.
    tables: Padded<AtomicU64>,
    /// Images that slots were started from without holding them before, for statistics.
    pub(super) images: Padded<Mutex<ByImage<()>>>,
}

/// The reason why a slot was not added to a free list.
pub(super) enum NotPut {
    /// The pool was dropped.
    Closed(Owned),
    /// A thread waits for a slot.
    Waited(Owned),
    /// An image was retired since the slot's use began.
    Stale(Owned),
}

impl Shared {
    pub(super) fn new(config: PoolConfig) -> Self {
        Self {
            config,
            shards: (0..config.n_shards()).map(|_| Padded::default()).collect(),
            queue: Padded::default(),
            retired: Padded::default(),
            n_slots: Padded::default(),
            resident: Padded::default(),
            tables: Padded::default(),
            images: Padded::default(),
        }
    }

    pub(super) const fn n_shards(&self) -> usize {
        self.shards.len()
    }

    /// Returns the home shard of this thread.
    pub(super) fn home(&self) -> usize {
        nth_thread() % self.shards.len()
    }

    /// Returns all shards, beginning with `first`.
    pub(super) fn shards_from(&self, first: usize) -> impl Iterator<Item = usize> + use<> {
        let n_shards = self.shards.len();
        (first..n_shards).chain(0..first)
    }

    /// Runs `act` on a shard's free list, under its lock.
    pub(super) fn with<T>(&self, shard: usize, act: impl FnOnce(&mut FreeList) -> T) -> T {
        act(&mut lock(&self.shards[shard].0))
    }

    pub(super) fn count(&self, shard: usize, count: impl FnOnce(&mut PoolStats)) {
        self.with(shard, |list| count(&mut list.stats));
    }

    /// Returns a slot whose last call failed: it is ready or poisoned.
    pub(super) fn return_failed(&self, mut entry: Owned) {
        if entry.slot.is_poisoned() {
            self.count(entry.shard, |stats| stats.n_poisoned += 1);
            self.drop_slot(entry);
        } else {
            self.update_counted(&mut entry);
            self.put(entry, End::Newest, |_| ());
        }
    }

    /// Hands a ready slot to the first waiting thread, or otherwise puts it on its free
    /// list.
    pub(super) fn put(&self, mut entry: Owned, end: End, count: impl FnOnce(&mut PoolStats)) {
        let mut count = Some(count);
        loop {
            let once = |stats: &mut PoolStats| {
                if let Some(count) = count.take() {
                    count(stats);
                }
            };
            let next = match self.try_put(entry, end, once) {
                Ok(_) => return,
                Err(NotPut::Closed(entry)) => return self.drop_slot(entry),
                Err(NotPut::Waited(entry)) => self.queue.0.hand_over(entry),
                Err(NotPut::Stale(entry)) => self.drop_if_retired(entry),
            };
            entry = match next {
                Some(entry) => entry,
                None => return,
            };
        }
    }

    /// Adds a slot to its free list, and returns how many slots are queued there for a
    /// reset.
    pub(super) fn try_put(
        &self,
        entry: Owned,
        end: End,
        count: impl FnOnce(&mut PoolStats),
    ) -> Result<usize, NotPut> {
        let shard = entry.shard;
        self.with(shard, |list| {
            count(&mut list.stats);
            if list.is_closed {
                return Err(NotPut::Closed(entry));
            }
            if !self.queue.0.is_empty() {
                return Err(NotPut::Waited(entry));
            }
            if entry.epoch != self.retired.0.epoch() {
                return Err(NotPut::Stale(entry));
            }
            list.put(entry, end);
            Ok(list.n_used())
        })
    }

    /// Drops a slot if its image was retired while the slot was in use.
    pub(super) fn drop_if_retired(&self, mut entry: Owned) -> Option<Owned> {
        if !self.retired.0.is_retired(&mut entry) {
            return Some(entry);
        }
        self.count(entry.shard, |stats| stats.n_retired += 1);
        self.drop_slot(entry);
        None
    }

    /// Updates the counted sizes of a slot, and the pool's sums. The only place that
    /// changes them, besides [`unmap`](Self::unmap).
    pub(super) fn update_counted(&self, entry: &mut Entry) {
        let tables = entry.slot.table_bytes();
        let resident = entry.slot.resident() + tables;
        update_sum(&self.resident.0, &mut entry.resident, resident);
        update_sum(&self.tables.0, &mut entry.tables, tables);
    }

    /// Drops a slot. Its permit goes to the first waiting thread, which may create
    /// another slot.
    pub(super) fn drop_slot(&self, entry: Owned) {
        self.unmap(entry);
        let mut locked = self.queue.0.lock();
        match locked.first() {
            Some(first) => {
                let wake = locked.serve(first, Handed::Permit);
                drop(locked);
                wake.wake();
            }
            None => {
                self.n_slots.0.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    /// Drops a slot, but keeps its permit.
    pub(super) fn unmap(&self, entry: Owned) {
        let shard = entry.shard;
        self.resident.0.fetch_sub(entry.resident, Ordering::Relaxed);
        self.tables.0.fetch_sub(entry.tables, Ordering::Relaxed);
        drop(entry);
        self.with(shard, FreeList::release_place);
    }

    /// Takes a permit to create a slot, if there is one.
    pub(super) fn take_permit(&self) -> bool {
        let max_slots = self.config.max_slots.get();
        let one_more = |n| (n < max_slots).then_some(n + 1);
        let n_slots = &self.n_slots.0;
        n_slots
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more)
            .is_ok()
    }

    /// Returns a permit to create a slot, after the system has refused the slot. Returns
    /// whether there was no other slot.
    ///
    /// The permit goes to the first thread that has not tried yet. Threads that have
    /// tried would only pass it to each other; but if no slot is left that could be
    /// returned, each of them tries once more, without the others in its way.
    pub(super) fn return_permit(&self) -> bool {
        let mut locked = self.queue.0.lock();
        let was_last = self.n_slots.0.load(Ordering::Acquire) <= 1;
        let refused = || locked.first().filter(|_| was_last);
        match locked.first_untried().or_else(refused) {
            Some(next) => {
                let wake = locked.serve(next, Handed::Permit);
                drop(locked);
                wake.wake();
            }
            None => {
                self.n_slots.0.fetch_sub(1, Ordering::AcqRel);
            }
        }
        was_last
    }

    /// Hands slots on the free lists to waiting threads, as long as there are both; and,
    /// to one of them, a permit to create a slot.
    pub(super) fn serve(&self, mut offer_permit: bool) {
        loop {
            let mut locked = self.queue.0.lock();
            let Some(first) = locked.first() else { return };
            let Some(waiter) = locked.get(first) else {
                return;
            };
            let handed = match self.find_for(waiter.home, waiter.want) {
                Some(entry) => Handed::Slot(entry),
                None if mem::take(&mut offer_permit) && self.take_permit() => Handed::Permit,
                None => return,
            };
            let wake = locked.serve(first, handed);
            drop(locked);
            wake.wake();
        }
    }

    fn find_for(&self, home: usize, want: Key) -> Option<Owned> {
        let suitable = |shard| self.with(shard, |list| list.take_suitable(want));
        let oldest = |shard| self.with(shard, FreeList::take_oldest);
        self.shards_from(home)
            .find_map(suitable)
            .or_else(|| self.shards_from(home).find_map(oldest))
    }

    /// Drops all slots that hold the image: unused ones now, the others when their uses
    /// end.
    pub(super) fn evict(&self, image: &Arc<MemoryImage>) {
        // First: a slot that is returned to a free list after this has searched it sees
        // the new epoch, because both hold the list's lock.
        self.retired.0.add(image);
        let key = Key::of(Some(image));
        for shard in 0..self.shards.len() {
            self.drop_each(|| self.with(shard, |list| list.take_newest(key)));
            let mut n_left = self.with(shard, |list| list.n_used());
            self.drop_each(|| self.with(shard, |list| list.take_used_of(key, &mut n_left)));
        }
    }

    /// Drops every unused slot; those in use are dropped when they are returned.
    pub(super) fn close(&self) {
        for shard in 0..self.shards.len() {
            self.with(shard, |list| list.is_closed = true);
            self.drop_each(|| self.with(shard, FreeList::take_oldest));
            self.drop_each(|| self.with(shard, FreeList::take_used));
        }
    }

    fn drop_each(&self, mut take: impl FnMut() -> Option<Owned>) {
        while let Some(entry) = take() {
            self.drop_slot(entry);
        }
    }

    pub(super) fn stats(&self) -> PoolStats {
        let mut stats = PoolStats::default();
        for shard in 0..self.shards.len() {
            stats += self.with(shard, |list| list.stats());
        }
        stats.clamp_counts_to_zero();
        let n_slots = self.n_slots.0.load(Ordering::Relaxed);
        stats.n_slots = u64::try_from(n_slots).unwrap_or(u64::MAX);
        let resident = self.resident.0.load(Ordering::Relaxed);
        stats.page_table_bytes = self.tables.0.load(Ordering::Relaxed);
        stats.resident_bytes = resident.saturating_sub(stats.page_table_bytes);
        let images: Vec<_> = lock(&self.images.0).alive().collect();
        // The system is queried after the lock is released.
        stats.image_bytes = images.iter().map(|image| image.own_bytes()).sum();
        stats
    }
}

/// Changes a counted size, and the sum of all of them with it.
fn update_sum(sum: &AtomicU64, counted: &mut u64, now: u64) {
    let before = mem::replace(counted, now);
    if before < now {
        sum.fetch_add(now - before, Ordering::Relaxed);
    } else if now < before {
        sum.fetch_sub(before - now, Ordering::Relaxed);
    }
}
