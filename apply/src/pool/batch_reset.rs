//! Resets many slots, or discards their pages, in few system calls.
//!
//! Slots are taken off their free lists a chunk at a time, onto the stack: nothing is
//! allocated.

use core::mem;
use core::ops::Range;

use super::config::ResetOn;
use super::entry::Owned;
use super::free_list::End;
use super::shared::Shared;
use super::sync::Ordering;
use crate::slot::MemorySlot;
use crate::slot::batch::{BatchReport, CHUNK, discard_ready, reset_many};

/// Slots taken off their free lists.
#[derive(Debug)]
struct Chunk {
    entries: [Option<Owned>; CHUNK],
    len: usize,
}

impl Chunk {
    const fn new() -> Self {
        Self {
            entries: [const { None }; CHUNK],
            len: 0,
        }
    }

    /// Takes as many slots as fit, at most `max`.
    fn fill(&mut self, max: usize, mut take: impl FnMut() -> Option<Owned>) {
        let max = self.len.saturating_add(max).min(CHUNK);
        while self.len < max
            && let Some(entry) = take()
        {
            self.entries[self.len] = Some(entry);
            self.len += 1;
        }
    }

    fn slots(&mut self) -> impl Iterator<Item = &mut MemorySlot> {
        self.entries.iter_mut().flatten().map(|it| &mut it.slot)
    }
}

impl Shared {
    /// Resets all queued slots.
    pub(super) fn drain_all(&self) -> BatchReport {
        match self.config.reset_on {
            ResetOn::Return => BatchReport::default(),
            ResetOn::Batch(_) => self.drain(0..self.n_shards()),
        }
    }

    pub(super) fn drain(&self, shards: Range<usize>) -> BatchReport {
        let mut sum = BatchReport::default();
        let mut left = shards.clone();
        while !left.is_empty() {
            let mut chunk = Chunk::new();
            while chunk.len < CHUNK && !left.is_empty() {
                self.with(left.start, |list| chunk.fill(CHUNK, || list.take_used()));
                if chunk.len < CHUNK {
                    left.start += 1;
                }
            }
            if chunk.len == 0 {
                break;
            }
            let report = reset_many(chunk.slots());
            self.count(shards.start, |stats| stats.batch(&report));
            sum.add(&report);
            for entry in chunk.entries.into_iter().flatten() {
                self.return_failed(entry);
            }
            self.trim(shards.start);
        }
        sum
    }

    /// Keeps resident bytes within the limit. If they exceed it, ready slots discard
    /// their pages until an eighth of the limit is free. Each shard starts with the slots
    /// that have been ready for longest, at most a quarter of them at a time.
    pub(super) fn trim(&self, home: usize) {
        if !self.is_above_limit() {
            return;
        }
        let target = self.target();
        let mut is_done = false;
        while !mem::replace(&mut is_done, true) {
            for shard in self.shards_from(home) {
                let resident = self.resident.0.load(Ordering::Relaxed);
                let mut excess = resident.saturating_sub(target);
                let mut chunk = Chunk::new();
                self.with(shard, |list| {
                    let max = list.n_ready().div_ceil(4);
                    chunk.fill(max, || {
                        let entry = (excess != 0).then(|| list.take_coldest()).flatten()?;
                        excess = excess.saturating_sub(entry.resident);
                        Some(entry)
                    });
                });
                if chunk.len != 0 {
                    is_done = false;
                    self.discard_pages(shard, chunk);
                }
            }
        }
    }

    /// How much may be resident after [`trim`](Self::trim).
    const fn target(&self) -> u64 {
        let max = self.config.max_resident_bytes;
        max - max / 8
    }

    fn is_above_limit(&self) -> bool {
        self.config.max_resident_bytes < self.resident.0.load(Ordering::Relaxed)
    }

    /// Discards the pages of a shard's oldest slots, and puts them back at the old end.
    fn discard_pages(&self, shard: usize, mut chunk: Chunk) {
        for entry in chunk.entries.iter_mut().flatten() {
            // Before the call, so that no other thread discards for the same bytes.
            let tables = entry.tables;
            let pages = mem::replace(&mut entry.resident, tables) - tables;
            self.resident.0.fetch_sub(pages, Ordering::Relaxed);
        }
        discard_ready(chunk.slots());
        let n = u64::try_from(chunk.len).unwrap_or(u64::MAX);
        self.count(shard, |stats| stats.n_discarded += n);
        for mut entry in chunk.entries.into_iter().rev().flatten() {
            self.update_counted(&mut entry);
            // As far as necessary: otherwise tables alone would stay at the limit, and the next
            // return would discard everybody's pages again.
            if self.target() < self.resident.0.load(Ordering::Relaxed) {
                entry.slot.free_own_tables();
                self.update_counted(&mut entry);
            }
            if entry.resident != 0 && self.is_above_limit() {
                // A table is only partly its own.
                entry.slot.wipe();
                self.update_counted(&mut entry);
            }
            if entry.slot.is_poisoned() {
                self.return_failed(entry);
                continue;
            }
            // The system refused: what it keeps for this slot only ends with the slot.
            if entry.resident != 0 && self.is_above_limit() {
                self.drop_slot(entry);
                continue;
            }
            entry.is_discarded = true;
            self.put(entry, End::Oldest, |_| ());
        }
    }
}
