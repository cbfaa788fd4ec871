//! Finds a slot for a start: on the free list of its own shard, or on another one's.

use alloc::sync::Arc;
use std::time::Instant;

use super::entry::{Key, Kind, Owned};
use super::free_list::FreeList;
use super::shared::Shared;
use crate::image::MemoryImage;

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

/// A slot for a start, which is already counted as successful.
pub(super) struct Candidate {
    pub(super) entry: Owned,
    /// The epoch of what the slot holds until it is started.
    pub(super) held_since: u64,
    pub(super) kind: Kind,
    pub(super) is_stolen: bool,
}

impl Start<'_> {
    pub(super) fn want(&self) -> Key {
        Key::of(self.image)
    }

    pub(super) fn find_oldest(&self) -> Option<Candidate> {
        self.find(|shard| self.take(shard, FreeList::take_oldest))
    }

    pub(super) fn take_suitable(&self, shard: usize) -> Option<Candidate> {
        let want = self.want();
        self.take(shard, |list| list.take_suitable(want))
    }

    /// Takes from the home shard, or otherwise from the next that has something.
    pub(super) fn find<T>(&self, from: impl Fn(usize) -> Option<T>) -> Option<T> {
        self.shared.shards_from(self.home).find_map(from)
    }

    /// Takes a slot from a shard, unless a thread waits for it, and counts the start.
    pub(super) fn take(
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
            let held_since = entry.begin(shared.retired.0.epoch());
            let kind = Kind::of(&entry, self.want());
            let is_stolen = shard != self.home;
            list.stats.start(kind, is_stolen);
            Some(Candidate {
                entry,
                held_since,
                kind,
                is_stolen,
            })
        })
    }

    /// Counts a start in a slot that was not taken from a free list.
    pub(super) fn candidate(&self, mut entry: Owned, kind: Kind) -> Candidate {
        let held_since = entry.begin(self.shared.retired.0.epoch());
        let is_stolen = entry.shard != self.home;
        self.shared
            .count(self.home, |stats| stats.start(kind, is_stolen));
        Candidate {
            entry,
            held_since,
            kind,
            is_stolen,
        }
    }
}
