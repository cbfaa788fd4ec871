//! Shards, and how slots move between them, their users and the threads that wait.
//!
//! Locks are held for a few comparisons and never during a system call: what needs one
//! is taken off its free list first, and so belongs to one thread alone. The queue's lock
//! is taken before a free list's, never while one is held, and no thread holds the locks
//! of two free lists.
//!
//! A slot comes back to the shard whose thread acquired it, where a place is kept for it:
//! nothing is allocated on its way back, and whoever ends the use need not be the thread
//! that began it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Mutex;

use super::config::{PoolConfig, ResetOn};
use super::entry::{Entry, Key, Owned};
use super::free_list::{End, FreeList};
use super::images::ByImage;
use super::lock;
use super::retired::Retired;
use super::stats::PoolStats;
use super::wait_queue::{Handed, WaitQueue};
use crate::image::MemoryImage;

/// Alone in its cache lines: processors fetch two at a time.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

/// What all handles of a pool and all its slots in use have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: PoolConfig,
    shards: Box<[Padded<Mutex<FreeList>>]>,
    pub(super) queue: Padded<WaitQueue>,
    pub(super) retired: Padded<Retired>,
    // Invariants:
    // 1. As many as there are entries and permissions to make one, and at most
    //    `config.max_slots`. Decreased only under the queue's lock, by whoever found nobody
    //    there to have the permission.
    // 2. The sum of `resident` of all entries. Written only where a reset changes it,
    //    which is seldom.
    pub(super) n_slots: Padded<AtomicUsize>,
    pub(super) resident: Padded<AtomicU64>,
    /// The same of `tables`.
    tables: Padded<AtomicU64>,
    /// Images that slots were started from which did not hold them, to be counted.
    pub(super) images: Padded<Mutex<ByImage<()>>>,
}

/// Why a slot was not added to a free list.
enum NotPut {
    /// The pool is gone.
    Closed(Owned),
    /// Somebody waits for one.
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

    /// The shard of this thread.
    pub(super) fn home(&self) -> usize {
        static N_THREADS: AtomicUsize = AtomicUsize::new(0);
        std::thread_local! {
            static NTH: usize = N_THREADS.fetch_add(1, Ordering::Relaxed);
        }
        NTH.with(|nth| nth % self.shards.len())
    }

    /// All shards, beginning with one.
    pub(super) fn shards_from(&self, first: usize) -> impl Iterator<Item = usize> + use<> {
        let n_shards = self.shards.len();
        (first..n_shards).chain(0..first)
    }

    /// Does something with a shard's free list, under its lock.
    pub(super) fn with<T>(&self, shard: usize, act: impl FnOnce(&mut FreeList) -> T) -> T {
        act(&mut lock(&self.shards[shard].0))
    }

    pub(super) fn count(&self, shard: usize, count: impl FnOnce(&mut PoolStats)) {
        self.with(shard, |list| count(&mut list.stats));
    }

    /// Ends a use.
    pub(super) fn take_back(&self, entry: Owned) {
        match self.config.reset_on {
            ResetOn::Return => self.reset(entry),
            ResetOn::Batch(n) => self.put_used(entry, n.get()),
        }
    }

    /// Resets one slot, and puts it where the next user finds it.
    fn reset(&self, mut entry: Owned) {
        let shard = entry.shard;
        match entry.slot.reset() {
            Ok(report) => {
                self.settle(&mut entry);
                self.put(entry, End::Newest, |stats| stats.reset(&report));
                self.trim(shard);
            }
            Err(_) => self.return_failed(entry),
        }
    }

    /// Queues a slot to be reset with others, unless somebody waits for it.
    fn put_used(&self, mut entry: Owned, n_together: usize) {
        let shard = entry.shard;
        loop {
            entry = match self.try_put(entry, End::Used, |_| ()) {
                Ok(n_used) if n_together <= n_used => {
                    self.drain(shard..shard + 1);
                    return;
                }
                Ok(_) => return,
                Err(NotPut::Closed(entry)) => return self.give_up(entry),
                Err(NotPut::Waited(entry)) => return self.reset(entry),
                Err(NotPut::Stale(entry)) => match self.refresh(entry) {
                    Some(entry) => entry,
                    None => return,
                },
            };
        }
    }

    /// Takes back a slot whose last call failed: ready, or poisoned.
    pub(super) fn return_failed(&self, mut entry: Owned) {
        if entry.slot.is_poisoned() {
            self.count(entry.shard, |stats| stats.n_poisoned += 1);
            self.give_up(entry);
        } else {
            self.settle(&mut entry);
            self.put(entry, End::Newest, |_| ());
        }
    }

    /// Hands a ready slot to the first that waits, or else puts it on its free list.
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
                Err(NotPut::Closed(entry)) => return self.give_up(entry),
                Err(NotPut::Waited(entry)) => self.queue.0.hand_over(entry),
                Err(NotPut::Stale(entry)) => self.refresh(entry),
            };
            entry = match next {
                Some(entry) => entry,
                None => return,
            };
        }
    }

    /// Adds a slot to its free list, and returns how many there are to be reset now.
    fn try_put(
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

    /// Gives a slot up that holds an image which was retired while it was in use.
    fn refresh(&self, mut entry: Owned) -> Option<Owned> {
        if !self.retired.0.concerns(&mut entry) {
            return Some(entry);
        }
        self.count(entry.shard, |stats| stats.n_retired += 1);
        self.give_up(entry);
        None
    }

    /// Takes note of what the slot holds. The one place where accounts change, beside
    /// [`unmap`](Self::unmap).
    pub(super) fn settle(&self, entry: &mut Entry) {
        let tables = entry.slot.table_bytes();
        let resident = entry.slot.resident() + tables;
        post(&self.resident.0, &mut entry.resident, resident);
        post(&self.tables.0, &mut entry.tables, tables);
    }

    /// Drops a slot. There may be another one in its place, which the first that waits
    /// may make.
    pub(super) fn give_up(&self, entry: Owned) {
        self.unmap(entry);
        let mut locked = self.queue.0.lock();
        match locked.first() {
            Some(first) => {
                let wake = locked.serve(first, Handed::Room);
                drop(locked);
                wake.wake();
            }
            None => {
                self.n_slots.0.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }

    /// Drops a slot that still counts.
    pub(super) fn unmap(&self, entry: Owned) {
        let shard = entry.shard;
        self.resident.0.fetch_sub(entry.resident, Ordering::Relaxed);
        self.tables.0.fetch_sub(entry.tables, Ordering::Relaxed);
        drop(entry);
        self.with(shard, FreeList::release);
    }

    /// Counts one more slot, if there may be one.
    pub(super) fn add_room(&self) -> bool {
        let max_slots = self.config.max_slots.get();
        let one_more = |n| (n < max_slots).then_some(n + 1);
        let n_slots = &self.n_slots.0;
        n_slots
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more)
            .is_ok()
    }

    /// Takes back a permission to make a slot, after the system has refused one. Whether
    /// there was no other slot.
    ///
    /// It goes to the first that has not tried yet. Those that have tried too would only
    /// pass it to each other; but where no slot is left that could come back, each of them
    /// tries once more, without the others in its way.
    pub(super) fn refused_room(&self) -> bool {
        let mut locked = self.queue.0.lock();
        let is_last = self.n_slots.0.load(Ordering::Acquire) <= 1;
        let refused = || locked.first().filter(|_| is_last);
        match locked.first_untried().or_else(refused) {
            Some(next) => {
                let wake = locked.serve(next, Handed::Room);
                drop(locked);
                wake.wake();
            }
            None => {
                self.n_slots.0.fetch_sub(1, Ordering::AcqRel);
            }
        }
        is_last
    }

    /// Hands what is on the free lists to those that wait, as long as there is both; and,
    /// to one of them, room for another slot.
    pub(super) fn serve(&self, mut offer_room: bool) {
        loop {
            let mut locked = self.queue.0.lock();
            let Some(first) = locked.first() else { return };
            let Some(waiter) = locked.get(first) else {
                return;
            };
            let handed = match self.find_for(waiter.home, waiter.want) {
                Some(entry) => Handed::Slot(entry),
                None if mem::take(&mut offer_room) && self.add_room() => Handed::Room,
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

    /// Gives up all slots that hold the image: those that nobody uses now, the others when
    /// their uses end.
    pub(super) fn forget(&self, image: &Arc<MemoryImage>) {
        // First: a slot that comes back to a free list after this has looked there sees
        // the new epoch, since both hold the list's lock.
        self.retired.0.add(image);
        let key = Key::of(Some(image));
        for shard in 0..self.shards.len() {
            self.give_up_each(|| self.with(shard, |list| list.take_newest(key)));
            let mut n_left = self.with(shard, |list| list.n_used());
            self.give_up_each(|| self.with(shard, |list| list.take_used_of(key, &mut n_left)));
        }
    }

    /// Gives up every slot, and those that come back later when they do.
    pub(super) fn close(&self) {
        for shard in 0..self.shards.len() {
            self.with(shard, |list| list.is_closed = true);
            self.give_up_each(|| self.with(shard, FreeList::take_oldest));
            self.give_up_each(|| self.with(shard, FreeList::take_used));
        }
    }

    fn give_up_each(&self, mut take: impl FnMut() -> Option<Owned>) {
        while let Some(entry) = take() {
            self.give_up(entry);
        }
    }

    pub(super) fn stats(&self) -> PoolStats {
        let mut stats = PoolStats::default();
        for shard in 0..self.shards.len() {
            stats += self.with(shard, |list| list.stats());
        }
        stats.no_count_below_zero();
        let n_slots = self.n_slots.0.load(Ordering::Relaxed);
        stats.n_slots = u64::try_from(n_slots).unwrap_or(u64::MAX);
        let resident = self.resident.0.load(Ordering::Relaxed);
        stats.page_table_bytes = self.tables.0.load(Ordering::Relaxed);
        stats.resident_bytes = resident.saturating_sub(stats.page_table_bytes);
        let images: Vec<_> = lock(&self.images.0).alive().collect();
        // The system is asked after the lock is released.
        stats.image_bytes = images.iter().map(|image| image.own_bytes()).sum();
        stats
    }
}

/// Changes what is on an account, and the sum of all accounts with it.
fn post(sum: &AtomicU64, account: &mut u64, now: u64) {
    let before = mem::replace(account, now);
    if before < now {
        sum.fetch_add(now - before, Ordering::Relaxed);
    } else if now < before {
        sum.fetch_sub(before - now, Ordering::Relaxed);
    }
}
