//! Shards, and how slots move between them, their users and the threads that wait.
//!
//! Locks are held for a few comparisons and never during a system call: what needs one
//! is taken off its shelf first, and so belongs to one thread alone. The line's lock is
//! taken before a shelf's, never behind it, and no thread holds two shelves'.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Instant;

use super::config::{PoolConfig, ResetOn};
use super::error::AcquireError;
use super::line::{Handed, Line, Waiter};
use super::lock;
use super::shelf::{Entry, Key, Owned, Shelf};
use super::stats::PoolStats;
use crate::batch::{BatchReport, let_go_many, reset_many};
use crate::error::SlotError;
use crate::image::MemoryImage;
use crate::slot::MemorySlot;

/// Alone in its cache lines: processors fetch two at a time.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

/// What all handles of a pool and all its slots in use have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: PoolConfig,
    shards: Box<[Padded<Mutex<Shelf>>]>,
    line: Padded<Line>,
    // Invariants:
    // 1. As many as there are entries, and at most `config.max_slots`.
    // 2. The sum of `resident` of all entries. Written only where a reset changes it,
    //    which is seldom.
    n_slots: Padded<AtomicUsize>,
    resident: Padded<AtomicU64>,
}

/// How long to wait for a slot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    None,
    Until(Instant),
    Endless,
}

/// Why no slot was found.
enum Miss {
    Exhausted,
    /// There may be another one, but the system has no room for it.
    Refused(SlotError),
}

impl Shared {
    pub(super) fn new(config: PoolConfig) -> Self {
        Self {
            config,
            shards: (0..config.n_shards()).map(|_| Padded::default()).collect(),
            line: Padded::default(),
            n_slots: Padded::default(),
            resident: Padded::default(),
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

    /// Hands out a slot that is ready, for a memory that starts from `want`.
    pub(super) fn acquire(
        &self,
        home: usize,
        want: Key,
        patience: Patience,
    ) -> Result<Owned, AcquireError> {
        let max_slots = self.config.max_slots.get();
        loop {
            let miss = match self.look(home, want) {
                Ok(entry) => return Ok(entry),
                Err(miss) => miss,
            };
            let deadline = match (&miss, patience) {
                (Miss::Exhausted, Patience::None) => {
                    return Err(AcquireError::Exhausted { max_slots });
                }
                (Miss::Refused(err), Patience::None) => return Err((*err).into()),
                // Nothing will ever come back.
                (Miss::Refused(err), _) if self.n_slots.0.load(Ordering::Acquire) == 0 => {
                    return Err((*err).into());
                }
                (_, Patience::Until(at)) => Some(at),
                (_, Patience::Endless) => None,
            };
            let waiter = Waiter::new(want, home, matches!(miss, Miss::Exhausted));
            self.line.0.join(&waiter);
            // Whatever came back since we looked.
            self.drain_all();
            self.serve();
            self.count(home, |stats| stats.n_waits += 1);
            match self.line.0.wait(&waiter, deadline) {
                Handed::Slot(entry) => return Ok(entry),
                Handed::LookAgain => {}
                Handed::Nothing => return Err(AcquireError::TimedOut { max_slots }),
            }
        }
    }

    /// From the cheapest start to the dearest.
    fn look(&self, home: usize, want: Key) -> Result<Owned, Miss> {
        if let Some(entry) = self.take_suitable(home, want) {
            return Ok(entry);
        }
        let miss = match self.reserve(home) {
            Ok(Some(entry)) => return Ok(entry),
            Ok(None) => Miss::Exhausted,
            Err(err) => Miss::Refused(err),
        };
        if self.drain_all() != BatchReport::default()
            && let Some(entry) = self.take_suitable(home, want)
        {
            return Ok(entry);
        }
        self.take_oldest(home).ok_or(miss)
    }

    fn take_suitable(&self, home: usize, want: Key) -> Option<Owned> {
        self.take(home, |shelf| shelf.take_suitable(want))
    }

    fn take_oldest(&self, home: usize) -> Option<Owned> {
        self.take(home, Shelf::take_oldest)
    }

    /// Takes from the thread's own shelf, or else from the next that has something.
    fn take(&self, home: usize, from: impl Fn(&mut Shelf) -> Option<Owned>) -> Option<Owned> {
        self.shards_from(home).find_map(|shard| {
            let mut shelf = lock(&self.shards[shard].0);
            let entry = from(&mut shelf)?;
            shelf.stats.n_stolen += u64::from(shard != home);
            Some(entry)
        })
    }

    /// All shards, beginning with one.
    fn shards_from(&self, first: usize) -> impl Iterator<Item = usize> + use<> {
        let n_shards = self.shards.len();
        (first..n_shards).chain(0..first)
    }

    /// Makes another slot, if there may be one.
    fn reserve(&self, home: usize) -> Result<Option<Owned>, SlotError> {
        let max_slots = self.config.max_slots.get();
        let one_more = |n| (n < max_slots).then_some(n + 1);
        let n_slots = &self.n_slots.0;
        if n_slots
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_more)
            .is_err()
        {
            return Ok(None);
        }
        match MemorySlot::new(&self.config.slot) {
            Ok(slot) => {
                self.count(home, |stats| {
                    stats.n_reserved += 1;
                    stats.n_blank += 1;
                });
                Ok(Some(Box::new(Entry { slot, resident: 0 })))
            }
            Err(err) => {
                n_slots.fetch_sub(1, Ordering::AcqRel);
                self.serve();
                Err(err)
            }
        }
    }

    /// Ends a use.
    pub(super) fn take_back(&self, mut entry: Owned) {
        let home = self.home();
        match self.config.reset_on {
            ResetOn::Return => match entry.slot.reset() {
                Ok(report) => {
                    self.settle(&mut entry);
                    self.shelve(home, entry, |stats| stats.reset(&report));
                }
                Err(_) => self.sort(home, entry),
            },
            ResetOn::Batch(n) => {
                let (put, waited_for) = {
                    let mut shelf = lock(&self.shards[home].0);
                    (shelf.put_used(entry), !self.line.0.is_empty())
                };
                match put {
                    Ok(n_used) if waited_for || n.get() <= n_used => {
                        self.drain(home..home + 1);
                    }
                    Ok(_) => {}
                    Err(entry) => self.discard(entry),
                }
            }
        }
    }

    /// Takes back a slot whose last call failed: ready, or poisoned.
    pub(super) fn sort(&self, home: usize, mut entry: Owned) {
        if entry.slot.is_poisoned() {
            self.count(home, |stats| stats.n_poisoned += 1);
            self.discard(entry);
        } else {
            self.settle(&mut entry);
            self.shelve(home, entry, |_| ());
        }
    }

    /// Resets all slots that wait for it.
    pub(super) fn drain_all(&self) -> BatchReport {
        match self.config.reset_on {
            ResetOn::Return => BatchReport::default(),
            ResetOn::Batch(_) => self.drain(0..self.shards.len()),
        }
    }

    fn drain(&self, shards: core::ops::Range<usize>) -> BatchReport {
        let mut used: Vec<(usize, Owned)> = Vec::new();
        for shard in shards.clone() {
            let entries = lock(&self.shards[shard].0).take_used();
            used.extend(entries.into_iter().map(|entry| (shard, entry)));
        }
        if used.is_empty() {
            return BatchReport::default();
        }
        let report = reset_many(used.iter_mut().map(|(_, entry)| &mut entry.slot));
        self.count(shards.start, |stats| stats.batch(&report));
        for (shard, entry) in used {
            self.sort(shard, entry);
        }
        report
    }

    /// Puts a slot that is ready where the next user finds it.
    fn shelve(&self, shard: usize, entry: Owned, count: impl FnOnce(&mut PoolStats)) {
        let (put, waited_for) = {
            let mut shelf = lock(&self.shards[shard].0);
            count(&mut shelf.stats);
            (shelf.put(entry), !self.line.0.is_empty())
        };
        if let Err(entry) = put {
            return self.discard(entry);
        }
        if waited_for {
            self.serve();
        }
        self.trim(shard);
    }

    /// Hands what is there to those who wait.
    fn serve(&self) {
        let max_slots = self.config.max_slots.get();
        self.line.0.serve(|waiter| {
            let suitable = self.take_suitable(waiter.home, waiter.want);
            let found = suitable.or_else(|| self.take_oldest(waiter.home));
            if let Some(entry) = found {
                return Handed::Slot(entry);
            }
            let n_slots = self.n_slots.0.load(Ordering::Acquire);
            if n_slots == 0 || (waiter.may_reserve && n_slots < max_slots) {
                Handed::LookAgain
            } else {
                Handed::Nothing
            }
        });
    }

    /// Keeps resident bytes within bounds: where they are above, ready slots let go of
    /// their pages until an eighth of the bound is free, in each shard those that have
    /// been ready for longest, a quarter at a time.
    fn trim(&self, home: usize) {
        let max = self.config.max_resident_bytes;
        let resident = || self.resident.0.load(Ordering::Relaxed);
        if resident() <= max {
            return;
        }
        let mut is_done = false;
        while !mem::replace(&mut is_done, true) {
            for shard in self.shards_from(home) {
                let excess = resident().saturating_sub(max - max / 8);
                let coldest = lock(&self.shards[shard].0).take_coldest(excess);
                if !coldest.is_empty() {
                    is_done = false;
                    self.let_go(shard, coldest);
                }
            }
        }
    }

    /// Lets the pages of a shard's oldest slots go, and puts them back where they were.
    fn let_go(&self, shard: usize, mut entries: Vec<Owned>) {
        for entry in &mut entries {
            let resident = mem::take(&mut entry.resident);
            self.resident.0.fetch_sub(resident, Ordering::Relaxed);
        }
        let n = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let_go_many(entries.iter_mut().map(|entry| &mut entry.slot));
        self.count(shard, |stats| stats.n_let_go += n);
        for entry in entries.into_iter().rev() {
            if entry.slot.is_poisoned() {
                self.sort(shard, entry);
                continue;
            }
            let put = lock(&self.shards[shard].0).put_as_oldest(entry);
            if let Err(entry) = put {
                self.discard(entry);
            }
        }
        // Somebody may have found nothing meanwhile.
        self.serve();
    }

    /// Takes note of what the slot keeps resident.
    fn settle(&self, entry: &mut Entry) {
        let now = entry.slot.resident();
        let before = mem::replace(&mut entry.resident, now);
        if before < now {
            self.resident.0.fetch_add(now - before, Ordering::Relaxed);
        } else if now < before {
            self.resident.0.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// Gives a slot up. There may be another one in its place.
    fn discard(&self, entry: Owned) {
        self.resident.0.fetch_sub(entry.resident, Ordering::Relaxed);
        drop(entry);
        self.n_slots.0.fetch_sub(1, Ordering::AcqRel);
        self.serve();
    }

    /// Gives up all ready slots that hold the image.
    pub(super) fn forget(&self, image: &Arc<MemoryImage>) {
        for shard in &self.shards {
            let entries = lock(&shard.0).take_all(Key::of(Some(image)));
            for entry in entries {
                self.discard(entry);
            }
        }
    }

    /// Gives up every slot, and those that come back later when they do.
    pub(super) fn close(&self) {
        for shard in &self.shards {
            let entries = lock(&shard.0).close();
            for entry in entries {
                self.discard(entry);
            }
        }
    }

    pub(super) fn stats(&self) -> PoolStats {
        let mut stats = PoolStats::default();
        for shard in &self.shards {
            stats += lock(&shard.0).stats();
        }
        let n_slots = self.n_slots.0.load(Ordering::Relaxed);
        stats.n_slots = u64::try_from(n_slots).unwrap_or(u64::MAX);
        stats.resident_bytes = self.resident.0.load(Ordering::Relaxed);
        stats
    }

    fn count(&self, shard: usize, count: impl FnOnce(&mut PoolStats)) {
        count(&mut lock(&self.shards[shard].0).stats);
    }
}
