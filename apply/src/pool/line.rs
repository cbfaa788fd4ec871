//! Threads that wait for a slot, served in the order they came.
//!
//! Whoever returns a slot hands one to the first in line; nobody who comes later can
//! snatch it. Nothing is lost between "there is none" and "I wait": a thread joins the
//! line first, and looks at every shelf again then. A slot put on a shelf before that
//! look is found by it; whoever puts one there after it, sees the line, since both hold
//! the shelf's lock.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::mem;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use super::lock;
use super::shelf::{Key, Owned};

/// Threads that wait.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: Mutex<VecDeque<Arc<Waiter>>>,
    /// As long as `waiting`, to be looked at without its lock.
    len: AtomicUsize,
}

/// A thread that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) want: Key,
    /// The thread's own shard.
    pub(super) home: usize,
    /// Whether room for a further slot would help: the system has not refused one.
    pub(super) may_reserve: bool,
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
    /// There is room for another slot: look again.
    LookAgain,
}

impl Waiter {
    pub(super) fn new(want: Key, home: usize, may_reserve: bool) -> Arc<Self> {
        Arc::new(Self {
            want,
            home,
            may_reserve,
            handed: Mutex::default(),
            changed: Condvar::new(),
        })
    }
}

impl Line {
    /// Whether nobody waits. Exact for whoever has put a slot on a shelf and still
    /// holds its lock: see above.
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Joins the line; whoever does has to call [`serve`](Self::serve) next.
    pub(super) fn join(&self, waiter: &Arc<Waiter>) {
        let mut waiting = lock(&self.waiting);
        waiting.push_back(Arc::clone(waiter));
        self.len.store(waiting.len(), Ordering::Relaxed);
    }

    /// Gives each, first come, first served, what `find` has for it.
    pub(super) fn serve(&self, mut find: impl FnMut(&Waiter) -> Handed) {
        let mut waiting = lock(&self.waiting);
        waiting.retain(|waiter| match find(waiter) {
            Handed::Nothing => true,
            found => {
                *lock(&waiter.handed) = found;
                waiter.changed.notify_one();
                false
            }
        });
        self.len.store(waiting.len(), Ordering::Relaxed);
    }

    /// Waits to be handed something; [`Handed::Nothing`] once it is too late.
    pub(super) fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Instant>) -> Handed {
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
        self.leave(waiter)
    }

    /// Leaves the line. What was handed over meanwhile is not lost.
    fn leave(&self, waiter: &Arc<Waiter>) -> Handed {
        let mut waiting = lock(&self.waiting);
        waiting.retain(|other| !Arc::ptr_eq(other, waiter));
        self.len.store(waiting.len(), Ordering::Relaxed);
        drop(waiting);
        mem::take(&mut *lock(&waiter.handed))
    }
}
