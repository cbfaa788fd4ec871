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
//!
//! To wait allocates only where more threads wait than ever before, and that may fail: a
//! process that is out of memory is told so.

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

/// As long as no more threads wait, each is woken alone.
const CONDVARS: usize = 64;

/// Threads that wait.
#[derive(Debug)]
pub(super) struct WaitQueue {
    waiting: Mutex<Waiting>,
    /// A thread waits at that of its ticket.
    changed: [Condvar; CONDVARS],
    /// How many there are, to be looked at without the lock.
    len: AtomicUsize,
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            changed: [const { Condvar::new() }; CONDVARS],
            len: AtomicUsize::new(0),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Also those that were handed something and have not looked yet: in no list.
    slab: Slab<Waiter, 2>,
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
    ticket: Ticket,
    handed: Handed,
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
}

/// A place in the queue, to be taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

impl Ticket {
    /// Which of the condition variables.
    const fn nth(self) -> usize {
        // Never truncates: below `CONDVARS`.
        (self.0 % CONDVARS as u64) as usize
    }
}

/// The queue's lock.
pub(super) struct Locked<'a> {
    waiting: MutexGuard<'a, Waiting>,
    changed: &'a [Condvar; CONDVARS],
    len: &'a AtomicUsize,
}

/// A thread that was handed something and is to be woken, without the queue's lock.
#[must_use]
pub(super) struct Wake<'a>(&'a Condvar);

impl Wake<'_> {
    pub(super) fn wake(self) {
        self.0.notify_all();
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
            changed: &self.changed,
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
        (ticket, place): (Ticket, Place),
        deadline: Option<Instant>,
    ) -> Handed {
        let changed = &self.changed[ticket.nth()];
        let mut locked = self.lock();
        loop {
            if let Some(handed) = locked.take(place) {
                return handed;
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            locked.waiting = match left {
                None => super::unpoisoned(changed.wait(locked.waiting)),
                Some(left) if left.is_zero() => break,
                Some(left) => super::unpoisoned(changed.wait_timeout(locked.waiting, left)).0,
            };
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
    ) -> Result<(Ticket, Place), NoRoom> {
        let waiting = &mut *self.waiting;
        let n = waiting.slab.len() + 1;
        if waiting.slab.capacity() < n {
            waiting.slab.try_reserve(2 * n)?;
        }
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

    /// The first in the queue.
    pub(super) fn first(&self) -> Option<Place> {
        self.waiting.order.first()
    }

    /// The first whom the system has not refused a slot.
    pub(super) fn first_untried(&self) -> Option<Place> {
        self.waiting.untried.first()
    }

    pub(super) fn get(&self, place: Place) -> Option<&Waiter> {
        self.waiting.slab.get(place)
    }

    /// Hands something to a thread in the queue, which leaves it.
    pub(super) fn serve(&mut self, place: Place, handed: Handed) -> Wake<'a> {
        self.unlink(place);
        let waiter = self.waiting.slab.get_mut(place);
        let waiter = waiter.expect("it is in the queue");
        waiter.handed = handed;
        Wake(&self.changed[waiter.ticket.nth()])
    }

    /// What a thread was handed, if anything.
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

    /// A thread leaves the queue that was handed nothing.
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
    /// Links a thread where its ticket says. Nearly always that is the end, or, for one
    /// that joins again, the beginning.
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
