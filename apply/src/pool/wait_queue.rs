//! A queue of threads waiting for a slot, served in the order of arrival.
//!
//! A thread that returns a slot, or a permit to create one, hands it to the first waiter
//! under the queue's lock. It never passes through a free list, so later callers cannot
//! take it. The waiter is woken after the lock is released.
//!
//! No wake-up is lost between finding no slot and waiting. A thread first joins the queue
//! and then searches every free list again. It finds a slot that was added to one before
//! that search. A thread that returns a slot after the search sees the waiter, because
//! both hold the free list's lock. So while threads wait and none is just joining, the
//! free lists are empty.
//!
//! A thread whose attempt failed with what it was handed joins again at its old place, by
//! its ticket.
//!
//! Waiting allocates only if more threads wait than ever before. That may fail: a process
//! that is out of memory gets an error.

use core::mem;
use std::time::Instant;

use super::condvars::Condvars;
use super::entry::{Key, Owned};
use super::slab::{List, Place, ReserveError, Slab};
use super::sync::{self, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, lock};

/// All waiting threads, in the order of their tickets.
const ORDER: usize = 0;
/// Those that the system has not yet refused a slot.
const UNTRIED: usize = 1;

/// The wait queue.
#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    waiting: Mutex<Waiting>,
    /// A thread waits on the one of its place, alone.
    changed: Condvars,
    /// The number of waiting threads, readable without the lock.
    len: AtomicUsize,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Includes threads that were handed something and have not taken it yet; they are in
    /// no list.
    slab: Slab<Waiter, 2>,
    order: List,
    untried: List,
    next_ticket: u64,
}

/// A waiting thread.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) want: Key,
    /// The thread's home shard.
    pub(super) home: usize,
    /// Whether the system has refused it a slot.
    is_refused: bool,
    ticket: Ticket,
    handed: Handed,
}

/// What a waiter is handed.
#[derive(Debug, Default)]
pub(super) enum Handed {
    /// Nothing.
    #[default]
    Nothing,
    /// A slot.
    Slot(Owned),
    /// A permit to create a slot: it already counts.
    Permit,
}

/// A place in the queue, with which a thread can join again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// The locked queue.
pub(super) struct Locked<'a> {
    waiting: MutexGuard<'a, Waiting>,
    changed: &'a Condvars,
    len: &'a AtomicUsize,
}

/// A thread that was handed something and must be woken, after the queue's lock is
/// released.
#[must_use]
pub(super) struct Wake<'a>(&'a Condvar);

impl Wake<'_> {
    pub(super) fn wake(self) {
        self.0.notify_one();
    }
}

impl WaitQueue {
    /// Returns whether no thread waits. Exact while the caller holds a free list's lock:
    /// see above.
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked {
            waiting: lock(&self.waiting),
            changed: &self.changed,
            len: &self.len,
        }
    }

    /// Hands a slot to the first waiter. Returns it if there is none.
    pub(super) fn hand_over(&self, entry: Owned) -> Option<Owned> {
        let mut locked = self.lock();
        let Some(first) = locked.first() else {
            return Some(entry);
        };
        let wake = locked.serve(first, Handed::Slot(entry));
        drop(locked);
        wake.wake();
        None
    }

    /// Waits to be handed something; returns [`Handed::Nothing`] after the deadline.
    pub(super) fn wait(&self, place: Place, deadline: Option<Instant>) -> Handed {
        let changed = self.changed.get(place).expect("made by `join`");
        let mut locked = self.lock();
        let mut is_late = false;
        loop {
            if let Some(handed) = locked.take(place) {
                return handed;
            }
            if is_late {
                break;
            }
            (locked.waiting, is_late) =
                sync::wait(&self.waiting, locked.waiting, changed, deadline);
        }
        locked.leave(place);
        Handed::Nothing
    }
}

impl<'a> Locked<'a> {
    /// Joins the queue: at the end, or at the place of a ticket.
    pub(super) fn join(
        &mut self,
        want: Key,
        home: usize,
        is_refused: bool,
        ticket: Option<Ticket>,
    ) -> Result<(Ticket, Place), ReserveError> {
        let waiting = &mut *self.waiting;
        let n = waiting.slab.len() + 1;
        if waiting.slab.capacity() < n {
            waiting.slab.try_reserve(2 * n)?;
        }
        self.changed.try_reserve(n)?;
        let ticket = ticket.unwrap_or(Ticket(waiting.next_ticket));
        waiting.next_ticket = waiting.next_ticket.max(ticket.0 + 1);
        let place = waiting.slab.insert(Waiter {
            want,
            home,
            is_refused,
            ticket,
            handed: Handed::Nothing,
        });
        waiting.link(place, ticket, is_refused);
        self.publish();
        Ok((ticket, place))
    }

    /// Returns the first waiter.
    pub(super) fn first(&self) -> Option<Place> {
        self.waiting.order.first()
    }

    /// Returns the first waiter that the system has not refused a slot.
    pub(super) fn first_untried(&self) -> Option<Place> {
        self.waiting.untried.first()
    }

    pub(super) fn get(&self, place: Place) -> Option<&Waiter> {
        self.waiting.slab.get(place)
    }

    /// Hands something to a waiter, which leaves the queue.
    pub(super) fn serve(&mut self, place: Place, handed: Handed) -> Wake<'a> {
        self.unlink(place);
        let waiter = self.waiting.slab.get_mut(place);
        let waiter = waiter.expect("it is in the queue");
        waiter.handed = handed;
        Wake(self.changed.get(place).expect("made by `join`"))
    }

    /// Takes what a thread was handed, if anything.
    fn take(&mut self, place: Place) -> Option<Handed> {
        let slab = &mut self.waiting.slab;
        match mem::take(&mut slab.get_mut(place)?.handed) {
            Handed::Nothing => None,
            handed => {
                slab.remove(place);
                Some(handed)
            }
        }
    }

    /// Removes a thread that was handed nothing.
    fn leave(&mut self, place: Place) {
        self.unlink(place);
        self.waiting.slab.remove(place);
    }

    fn unlink(&mut self, place: Place) {
        let waiting = &mut *self.waiting;
        let waiter = waiting.slab.get(place);
        let is_refused = waiter.is_some_and(|waiter| waiter.is_refused);
        waiting.slab.unlink(ORDER, &mut waiting.order, place);
        if !is_refused {
            waiting.slab.unlink(UNTRIED, &mut waiting.untried, place);
        }
        self.publish();
    }

    fn publish(&self) {
        self.len.store(self.waiting.order.len(), Ordering::Relaxed);
    }
}

impl Waiting {
    /// Links a thread at the place of its ticket. Almost always that is the end, or, for
    /// a thread that joins again, the beginning.
    fn link(&mut self, place: Place, ticket: Ticket, is_refused: bool) {
        for (kind, list) in [(ORDER, &mut self.order), (UNTRIED, &mut self.untried)] {
            if kind == UNTRIED && is_refused {
                continue;
            }
            let earlier = |other: Option<Place>, slab: &Slab<Waiter, 2>| {
                other
                    .and_then(|other| slab.get(other))
                    .is_none_or(|other| other.ticket < ticket)
            };
            if earlier(list.last(), &self.slab) {
                self.slab.push_last(kind, list, place);
                continue;
            }
            let mut next = list.first();
            while next.is_some() && earlier(next, &self.slab) {
                next = next.and_then(|next| self.slab.after(kind, next));
            }
            match next {
                Some(next) => self.slab.push_before(kind, list, place, next),
                None => self.slab.push_last(kind, list, place),
            }
        }
    }
}
