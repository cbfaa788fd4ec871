//! Finds a slot for a start, and handles refusals of the system.
//!
//! While threads wait, later callers take nothing: returned slots go to waiting threads.
//!
//! If the system has no room for a further slot or for a mapping in one, it may have room
//! again once something is freed. So the start continues with what needs less: a ready
//! slot that holds the image, one that holds none, any ready slot. Then ready slots are
//! dropped, the oldest first, until there is room or no slot is left. For slots in use,
//! it waits.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use std::time::Instant;

use super::entry::{Entry, Key, Kind, Owned};
use super::error::AcquireError;
use super::free_list::FreeList;
use super::lock::lock;
use super::shared::Shared;
use super::wait_queue::{Handed, Ticket};
use crate::batch::BatchReport;
use crate::error::SlotError;
use crate::image::MemoryImage;
use crate::os::{Call, OsError};
use crate::slot::MemorySlot;

/// `ENOMEM` on all systems with mappings: no room for addresses, mappings or tables.
const NO_MEMORY: i32 = 12;

/// How long to wait for a slot.
#[derive(Clone, Copy, Debug)]
pub(super) enum WaitPolicy {
    Never,
    Until(Instant),
    Forever,
}

/// A start that does not have a slot yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    pub(super) shared: &'a Shared,
    /// The home shard of this thread.
    pub(super) home: usize,
    pub(super) image: Option<&'a Arc<MemoryImage>>,
    pub(super) bytes: u64,
    pub(super) policy: WaitPolicy,
}

/// What a start can continue with.
enum Found {
    Slot(Candidate),
    /// A permit to create a slot. It counts as a slot.
    Permit,
    /// A slot that could not be started.
    Failed(Failed),
}

/// A slot for a start, which is already counted as successful.
struct Candidate {
    entry: Owned,
    kind: Kind,
    is_stolen: bool,
}

/// Why a slot could not be started.
struct Failed {
    /// The slot, if it still exists. It is ready.
    blank: Option<Owned>,
    err: SlotError,
    /// Whether every other slot would fail too.
    is_final: bool,
    /// Whether the pool had no other slot all the time, so that nothing of the pool was
    /// in the way.
    was_only_slot: bool,
}

impl Start<'_> {
    /// Returns a started slot.
    pub(super) fn run(&self) -> Result<Owned, AcquireError> {
        // Almost always there is a suitable slot in the home shard.
        let Some(found) = self.take_suitable(self.home) else {
            return self.run_on(self.find_slot());
        };
        self.use_slot(found)
            .or_else(|failed| self.run_on(Some(Found::Failed(failed))))
    }

    #[cold]
    fn run_on(&self, mut found: Option<Found>) -> Result<Owned, AcquireError> {
        let max_slots = self.shared.config.max_slots.get();
        let mut ticket = None;
        loop {
            let refused = match found.map(|found| self.attempt(found)) {
                Some(Ok(entry)) => return Ok(self.adopt(entry)),
                Some(Err(failed)) if failed.is_final => return Err(failed.err.into()),
                Some(Err(failed)) => Some(failed.err),
                None => None,
            };
            let deadline = match (self.policy, refused) {
                (WaitPolicy::Never, Some(err)) => return Err(err.into()),
                (WaitPolicy::Never, None) => return Err(AcquireError::Exhausted { max_slots }),
                (WaitPolicy::Until(at), _) => Some(at),
                (WaitPolicy::Forever, _) => None,
            };
            found = Some(self.wait(refused, &mut ticket, deadline)?);
        }
    }

    fn want(&self) -> Key {
        Key::of(self.image)
    }

    /// Finds a slot, from the cheapest start to the most expensive.
    fn find_slot(&self) -> Option<Found> {
        if let Some(found) = self.find(|shard| self.take_suitable(shard)) {
            return Some(Found::Slot(found));
        }
        if !self.shared.queue.0.is_empty() {
            return None;
        }
        if self.shared.take_permit() {
            return Some(Found::Permit);
        }
        if self.shared.drain_all() != BatchReport::default()
            && let Some(found) = self.find(|shard| self.take_suitable(shard))
        {
            return Some(Found::Slot(found));
        }
        if let Some(oldest) = self.find_oldest() {
            return Some(Found::Slot(oldest));
        }
        // A slot may just have been dropped.
        (self.shared.queue.0.is_empty() && self.shared.take_permit()).then_some(Found::Permit)
    }

    fn find_oldest(&self) -> Option<Candidate> {
        self.find(|shard| self.take(shard, FreeList::take_oldest))
    }

    fn take_suitable(&self, shard: usize) -> Option<Candidate> {
        let want = self.want();
        self.take(shard, |list| list.take_suitable(want))
    }

    /// Takes from the home shard, or otherwise from the next that has something.
    fn find<T>(&self, from: impl Fn(usize) -> Option<T>) -> Option<T> {
        self.shared.shards_from(self.home).find_map(from)
    }

    /// Takes a slot from a shard, unless a thread waits for it, and counts the start.
    fn take(
        &self,
        shard: usize,
        from: impl FnOnce(&mut FreeList) -> Option<Owned>,
    ) -> Option<Candidate> {
        let shared = self.shared;
        shared.with(shard, |list| {
            if !shared.queue.0.is_empty() {
                return None;
            }
            let mut entry = from(list)?;
            entry.begin(shared.retired.0.epoch());
            let kind = Kind::of(&entry, self.want());
            let is_stolen = shard != self.home;
            list.stats.start(kind, is_stolen);
            Some(Candidate {
                entry,
                kind,
                is_stolen,
            })
        })
    }

    /// Counts a start in a slot that was not taken from a free list.
    fn candidate(&self, mut entry: Owned, kind: Kind) -> Candidate {
        entry.begin(self.shared.retired.0.epoch());
        let is_stolen = entry.shard != self.home;
        self.shared
            .count(self.home, |stats| stats.start(kind, is_stolen));
        Candidate {
            entry,
            kind,
            is_stolen,
        }
    }

    /// Starts the memory in what was found, or in another slot if the system refuses.
    fn attempt(&self, found: Found) -> Result<Owned, Failed> {
        let mut blank: Option<Owned> = None;
        let mut has_taken_over = false;
        let mut next = found;
        let failed = loop {
            let mut failed = match self.attempt_once(next) {
                Ok(entry) => {
                    if let Some(blank) = blank {
                        self.shared.return_failed(blank);
                    }
                    return Ok(entry);
                }
                Err(failed) => failed,
            };
            let before = match failed.blank.take() {
                Some(now) => blank.replace(now),
                None => None,
            };
            if let Some(before) = before {
                self.drop_refused(before);
            }
            if failed.is_final {
                if let Some(blank) = blank {
                    self.shared.return_failed(blank);
                }
                return Err(failed);
            }
            next = match self.another(&mut blank, &mut has_taken_over) {
                Some(found) => found,
                None if failed.was_only_slot || !self.is_only_slot() => break failed,
                // Other threads have dropped their slots since, for the same reason.
                None => match blank.take() {
                    Some(retried) => Found::Slot(self.candidate(retried, Kind::Blank)),
                    None => break failed,
                },
            };
        };
        let is_final = failed.was_only_slot;
        if let Some(blank) = blank {
            if is_final || matches!(self.policy, WaitPolicy::Never) {
                self.shared.return_failed(blank);
            } else {
                // It cannot be used now, and would be found again immediately.
                self.drop_refused(blank);
            }
        }
        Err(Failed { is_final, ..failed })
    }

    /// Returns whether the pool has at most one slot, this thread's.
    fn is_only_slot(&self) -> bool {
        self.shared.n_slots.0.load(Ordering::Acquire) <= 1
    }

    /// Returns what to try after the system has refused something.
    fn another(&self, blank: &mut Option<Owned>, has_taken_over: &mut bool) -> Option<Found> {
        let want = self.want();
        self.shared.drain_all();
        let hit = |shard| self.take(shard, |list| list.take_newest(want));
        if let Some(hit) = self.find(hit) {
            return Some(Found::Slot(hit));
        }
        if blank.is_none() || !*has_taken_over {
            *has_taken_over = true;
            let suitable = self.find(|shard| self.take_suitable(shard));
            if let Some(any) = suitable.or_else(|| self.find_oldest()) {
                return Some(Found::Slot(any));
            }
        }
        let retried = blank.take()?;
        let is_queue_empty = || self.shared.queue.0.is_empty();
        let oldest = |list: &mut FreeList| is_queue_empty().then(|| list.take_oldest()).flatten();
        match self.find(|shard| self.shared.with(shard, oldest)) {
            Some(dropped) => {
                self.shared.drop_slot(dropped);
                Some(Found::Slot(self.candidate(retried, Kind::Blank)))
            }
            None => {
                *blank = Some(retried);
                None
            }
        }
    }

    fn attempt_once(&self, found: Found) -> Result<Owned, Failed> {
        let was_only_slot = self.is_only_slot();
        let still = |failed: Failed| Failed {
            was_only_slot: was_only_slot && self.is_only_slot(),
            ..failed
        };
        match found {
            Found::Slot(candidate) => self.use_slot(candidate).map_err(still),
            Found::Failed(failed) => Err(failed),
            Found::Permit => match self.make() {
                Ok(entry) => self
                    .use_slot(self.candidate(entry, Kind::Blank))
                    .map_err(still),
                Err(err) => Err(Failed {
                    blank: None,
                    err,
                    is_final: false,
                    was_only_slot: self.shared.return_permit() && was_only_slot,
                }),
            },
        }
    }

    fn use_slot(&self, candidate: Candidate) -> Result<Owned, Failed> {
        let mut candidate = candidate;
        match candidate.entry.slot.instantiate(self.image, self.bytes) {
            Ok(()) => {
                if let Some(image) = self.image.filter(|_| candidate.kind != Kind::Hit) {
                    // If that fails, the image is not counted.
                    let _ = lock(&self.shared.images.0).insert(image, ());
                    if candidate.entry.slot.copied_bytes() != 0 {
                        self.shared
                            .count(self.home, |stats| stats.n_image_copies += 1);
                    }
                }
                Ok(candidate.entry)
            }
            Err(err) => Err(self.failed(candidate, err)),
        }
    }

    #[cold]
    fn failed(&self, candidate: Candidate, err: SlotError) -> Failed {
        let Candidate {
            mut entry,
            kind,
            is_stolen,
        } = candidate;
        let is_poisoned = entry.slot.is_poisoned();
        self.shared.count(self.home, |stats| {
            stats.undo_start(kind, is_stolen);
            stats.n_poisoned += u64::from(is_poisoned);
        });
        let blank = if is_poisoned {
            self.drop_refused(entry);
            None
        } else {
            self.shared.update_counted(&mut entry);
            Some(entry)
        };
        Failed {
            blank,
            err,
            is_final: !is_for_lack_of_room(&err),
            was_only_slot: false,
        }
    }

    /// Creates a slot, and reserves everything needed to return it later.
    fn make(&self) -> Result<Owned, SlotError> {
        let entry = Owned::new(Entry {
            slot: MemorySlot::new(&self.shared.config.slot)?,
            resident: 0,
            tables: 0,
            shard: self.home,
            epoch: 0,
            is_discarded: false,
        });
        let entry = entry.map_err(|_| no_memory())?;
        let reserved = self.shared.with(self.home, |list| {
            list.reserve_place()?;
            list.stats.n_reserved += 1;
            Ok(())
        });
        reserved.map_err(|_: super::slab::ReserveError| no_memory())?;
        Ok(entry)
    }

    /// Drops a slot that the system refuses to start. Threads that it refused before need
    /// not try again.
    fn drop_refused(&self, entry: Owned) {
        self.shared.unmap(entry);
        self.shared.return_permit();
    }

    /// Moves the slot to this thread's shard, where it will be returned.
    fn adopt(&self, mut entry: Owned) -> Owned {
        let from = entry.shard;
        if from != self.home && self.shared.with(self.home, FreeList::reserve_place).is_ok() {
            self.shared.with(from, FreeList::release_place);
            entry.shard = self.home;
        }
        entry
    }

    /// Waits in the queue. A thread that joins again takes its old place, by its ticket.
    fn wait(
        &self,
        refused: Option<SlotError>,
        ticket: &mut Option<Ticket>,
        deadline: Option<Instant>,
    ) -> Result<Found, AcquireError> {
        let shared = self.shared;
        let max_slots = shared.config.max_slots.get();
        let (own, place) = {
            let mut locked = shared.queue.0.lock();
            // No slot will ever be returned; but there is more room than when one was
            // refused.
            if refused.is_some()
                && shared.n_slots.0.load(Ordering::Acquire) == 0
                && shared.take_permit()
            {
                return Ok(Found::Permit);
            }
            locked
                .join(self.want(), self.home, refused.is_some(), *ticket)
                .map_err(|_| no_memory())?
        };
        // Serves the queue with slots returned since the last search. Each thread that
        // joins triggers one such attempt.
        shared.drain_all();
        shared.serve(refused.is_none());
        if ticket.replace(own).is_none() {
            shared.count(self.home, |stats| stats.n_waits += 1);
        }
        match shared.queue.0.wait((own, place), deadline) {
            Handed::Slot(entry) => {
                let kind = Kind::of(&entry, self.want());
                Ok(Found::Slot(self.candidate(entry, kind)))
            }
            Handed::Permit => Ok(Found::Permit),
            Handed::Nothing => Err(AcquireError::TimedOut { max_slots }),
        }
    }
}

/// Returns whether the call may succeed once something else is freed.
const fn is_for_lack_of_room(err: &SlotError) -> bool {
    matches!(err, SlotError::Os(err) if err.code() == NO_MEMORY)
}

/// Returns the error of a failed allocation.
const fn no_memory() -> SlotError {
    SlotError::Os(OsError {
        call: Call::Allocate,
        code: NO_MEMORY,
    })
}
