//! Tries to start a memory in a slot, and handles refusals of the system.
//!
//! If the system has no room for a further slot or for a mapping in one, it may have room
//! again once something is freed. So the start continues with what needs less: a ready
//! slot that holds the image, one that holds none, any ready slot. Then ready slots are
//! dropped, the oldest first, until there is room or no slot is left. For slots in use,
//! it waits.

use super::entry::{Entry, Kind, Owned};
use super::find::{Candidate, Start, WaitPolicy};
use super::free_list::FreeList;
use super::slab::ReserveError;
use super::sync::{Ordering, lock};
use crate::error::SlotError;
use crate::os::OsError;
use crate::slot::MemorySlot;

/// What a start can continue with.
pub(super) enum Found {
    Slot(Candidate),
    /// A permit to create a slot. It counts as a slot.
    Permit,
    /// A slot that could not be started.
    Failed(Failed),
}

/// Why a slot could not be started.
pub(super) struct Failed {
    /// The slot, if it still exists. It is ready.
    blank: Option<Owned>,
    pub(super) err: SlotError,
    /// Whether every other slot would fail too.
    pub(super) is_final: bool,
    /// Whether the pool had no other slot all the time, so that nothing of the pool was
    /// in the way.
    was_only_slot: bool,
}

impl Start<'_> {
    /// Starts the memory in what was found, or in another slot if the system refuses.
    pub(super) fn attempt(&self, found: Found) -> Result<Owned, Failed> {
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
                    Some(retried) => Found::Slot(self.retry(retried)),
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
                Some(Found::Slot(self.retry(retried)))
            }
            None => {
                *blank = Some(retried);
                None
            }
        }
    }

    /// Tries a slot again that the system has refused to start, which holds what it held.
    fn retry(&self, refused: Owned) -> Candidate {
        let kind = Kind::of(&refused, self.want());
        self.candidate(refused, kind)
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

    pub(super) fn use_slot(&self, candidate: Candidate) -> Result<Owned, Failed> {
        let mut candidate = candidate;
        match candidate.entry.slot.instantiate(self.image, self.bytes) {
            Ok(()) => {
                if candidate.kind != Kind::Hit {
                    self.count_image();
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

    /// Counts the image among those that slots hold, unless there is no memory for that.
    fn count_image(&self) {
        if let Some(image) = self.image {
            let _ = lock(&self.shared.images.0).insert(image, ());
        }
    }

    #[cold]
    fn failed(&self, candidate: Candidate, err: SlotError) -> Failed {
        let Candidate {
            mut entry,
            held_since,
            kind,
            is_stolen,
        } = candidate;
        // It may have been refused after it took the image.
        let has_image =
            |entry: &Entry| kind != Kind::Hit && Kind::of(entry, self.want()) == Kind::Hit;
        if !has_image(&entry) {
            // It still holds what it held, which may have been retired since.
            entry.epoch = held_since;
        }
        // Only a reset counts the pages of a copy.
        let has_copy = |entry: &Entry| has_image(entry) && entry.slot.copied_bytes() != 0;
        if has_copy(&entry) {
            entry.slot.wipe();
        }
        let is_poisoned = entry.slot.is_poisoned();
        self.shared.count(self.home, |stats| {
            stats.undo_start(kind, is_stolen);
            stats.n_poisoned += u64::from(is_poisoned);
        });
        let blank = if is_poisoned || has_copy(&entry) {
            self.drop_refused(entry);
            None
        } else {
            self.shared.update_counted(&mut entry);
            if has_image(&entry) {
                self.count_image();
            }
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
        reserved.map_err(|_: ReserveError| no_memory())?;
        Ok(entry)
    }

    /// Drops a slot that the system refuses to start. Threads that it refused before need
    /// not try again.
    fn drop_refused(&self, entry: Owned) {
        self.shared.unmap(entry);
        self.shared.return_permit();
    }
}

/// Returns whether the call may succeed once something else is freed.
const fn is_for_lack_of_room(err: &SlotError) -> bool {
    matches!(err, SlotError::Os(err) if err.is_for_lack_of_room())
}

/// Returns the error of a failed allocation.
pub(super) const fn no_memory() -> SlotError {
    SlotError::Os(OsError::out_of_memory())
}
