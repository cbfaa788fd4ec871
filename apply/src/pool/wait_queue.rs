//! Threads that wait for a slot, served in the order they came.
//!
//! Whoever has something to give hands it to the first in the queue, under the queue's
//! lock: a slot, or the permission to make one. It never passes through a free list, so
//! that nobody who comes later can take it. The thread is woken after the lock is released.
//!
//! Nothing is lost between "there is none" and "I wait". A thread first joins the queue,
//! and then looks at every free list again. A slot put on one before that look is found by
//! it; whoever comes after it with a slot sees that somebody waits, since both hold the
//! free list's lock. So while threads wait and none is just joining, free lists are empty.
//!
//! A thread whose try with what it was handed failed joins again at its old place: by its
//! ticket.

use alloc::sync::Arc;
use core::mem;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::entry::{Key, Owned};
use super::lock;
use super::slab::{List, NoRoom, Place, Slab};

/// All threads that wait, in the order of their tickets.
const ORDER: usize = 0;
/// Those of them whom the system has not refused a slot.
const UNTRIED: usize = 1;

/// Threads that wait.
#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    waiting: Mutex<Waiting>,
    /// How many there are, to be looked at without the lock.
    len: AtomicUsize,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    slab: Slab<Arc<Waiter>, 2>,
    order: List,
    untried: List,
    next_ticket: u64,
}

/// A thread that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) want: Key,
    /// The thread's own shard.
    pub(super) home: usize,
    /// The system has refused it a slot.
    is_refused: bool,
    ticket: u64,
    handed: Mutex<Handed>,
    changed: Condvar,
}

/// What a waiter is told.
#[derive(Debug, Default)]
pub(super) enum Handed {
    /// Nothing came.
    #[default]
    Nothing,
    /// This one is yours.
    Slot(Owned),
    /// You may make one: it counts already.
    Room,
    /// There is no slot any more that could come back, and the system has no room.
    Hopeless,
}

/// A place in the queue, to be taken again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

/// The queue's lock.
pub(super) struct Locked<'a> {
    waiting: MutexGuard<'a, Waiting>,
    len: &'a AtomicUsize,
}

/// A thread that was handed something and is to be woken, without the queue's lock.
#[must_use]
pub(super) struct Wake(Arc<Waiter>);

impl Wake {
    pub(super) fn wake(self) {
        self.0.changed.notify_one();
    }
}

impl WaitQueue {
    /// Whether nobody waits. Exact for whoever holds a free list's lock: see above.
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked {
            waiting: lock(&self.waiting),
            len: &self.len,
        }
    }

    /// Hands a slot to the first in the queue. Gives it back if there is none.
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

    /// Waits to be handed something; [`Handed::Nothing`] once it is too late.
    pub(super) fn wait(
        &self,
        waiter: &Arc<Waiter>,
        place: Place,
        deadline: Option<Instant>,
    ) -> Handed {
        let mut handed = lock(&waiter.handed);
        loop {
            match mem::take(&mut *handed) {
                Handed::Nothing => {}
                found => return found,
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            handed = match left {
                None => super::unpoisoned(waiter.changed.wait(handed)),
                Some(left) if left.is_zero() => break,
                Some(left) => super::unpoisoned(waiter.changed.wait_timeout(handed, left)).0,
            };
        }
        drop(handed);
        // Leaves the queue; what was handed over meanwhile is not lost.
        let mut locked = self.lock();
        match mem::take(&mut *lock(&waiter.handed)) {
            Handed::Nothing => {
                locked.remove(place);
                Handed::Nothing
            }
            found => found,
        }
    }
}

impl Locked<'_> {
    /// Joins the queue: at the end, or at the place of a ticket.
    pub(super) fn join(
        &mut self,
        want: Key,
        home: usize,
        is_refused: bool,
        ticket: Option<Ticket>,
    ) -> Result<(Arc<Waiter>, Place), NoRoom> {
        let waiting = &mut *self.waiting;
        let n = waiting.slab.len() + 1;
        if waiting.slab.capacity() < n {
            waiting.slab.try_reserve(2 * n)?;
        }
        let ticket = ticket.map_or(waiting.next_ticket, |Ticket(ticket)| ticket);
        waiting.next_ticket = waiting.next_ticket.max(ticket + 1);
        let waiter = Arc::new(Waiter {
            want,
            home,
            is_refused,
            ticket,
            handed: Mutex::default(),
            changed: Condvar::new(),
        });
        let place = waiting.slab.insert(Arc::clone(&waiter));
        waiting.link(place, ticket, is_refused);
        self.publish();
        Ok((waiter, place))
    }

    /// The first in the queue.
    pub(super) fn first(&self) -> Option<Place> {
        self.waiting.order.first()
    }

    /// The first whom the system has not refused a slot.
    pub(super) fn first_untried(&self) -> Option<Place> {
        self.waiting.untried.first()
    }

    pub(super) fn get(&self, place: Place) -> Option<&Waiter> {
        self.waiting.slab.get(place).map(AsRef::as_ref)
    }

    /// Hands something to a thread in the queue, which leaves it.
    pub(super) fn serve(&mut self, place: Place, handed: Handed) -> Wake {
        let waiter = self.remove(place).expect("it is in the queue");
        *lock(&waiter.handed) = handed;
        Wake(waiter)
    }

    fn remove(&mut self, place: Place) -> Option<Arc<Waiter>> {
        let waiting = &mut *self.waiting;
        let is_refused = waiting.slab.get(place)?.is_refused;
        waiting.slab.unlink(ORDER, &mut waiting.order, place);
        if !is_refused {
            waiting.slab.unlink(UNTRIED, &mut waiting.untried, place);
        }
        let waiter = waiting.slab.remove(place);
        self.publish();
        waiter
    }

    fn publish(&self) {
        self.len.store(self.waiting.order.len(), Ordering::Relaxed);
    }
}

impl Waiting {
    /// Links a thread where its ticket says. Nearly always that is the end, or, for one
    /// that joins again, the beginning.
    fn link(&mut self, place: Place, ticket: u64, is_refused: bool) {
        for (kind, list) in [(ORDER, &mut self.order), (UNTRIED, &mut self.untried)] {
            if kind == UNTRIED && is_refused {
                continue;
            }
            let earlier = |other: Option<Place>, slab: &Slab<Arc<Waiter>, 2>| {
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

impl Waiter {
    pub(super) const fn ticket(&self) -> Ticket {
        Ticket(self.ticket)
    }
}
