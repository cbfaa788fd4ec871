//! Starts a memory in a slot of the pool, and waits for a slot if there is none.
//!
//! While threads wait, later callers take nothing: returned slots go to waiting threads.

use std::time::Instant;

use super::attempt::{Found, no_memory};
use super::entry::{Kind, Owned};
use super::error::AcquireError;
use super::find::{Start, WaitPolicy};
use super::free_list::FreeList;
use super::sync::Ordering;
use super::wait_queue::{Handed, Ticket};
use crate::error::SlotError;
use crate::slot::BatchReport;

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
        match shared.queue.0.wait(place, deadline) {
            Handed::Slot(entry) => {
                let kind = Kind::of(&entry, self.want());
                Ok(Found::Slot(self.candidate(entry, kind)))
            }
            Handed::Permit => Ok(Found::Permit),
            Handed::Nothing => Err(AcquireError::TimedOut { max_slots }),
        }
    }
}
