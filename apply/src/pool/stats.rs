//! What a pool has done so far.

use core::ops::AddAssign;

use super::entry::Kind;
use crate::batch::BatchReport;
use crate::reset::{ResetReport, Strategy};

/// Counts of a [`SlotPool`](crate::SlotPool), since it was made, and what it holds now.
///
/// Shards are asked one after the other, while other threads go on: each number is true,
/// but of slightly different moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Starts in a slot that held the image: nothing was mapped. Like the next three, of
    /// starts that succeeded.
    pub n_hits: u64,
    /// Starts in a slot that held another image, which was taken away.
    pub n_maps: u64,
    /// Starts in a slot that held no image, or was new.
    pub n_blank: u64,
    /// Starts that copied the image, or a part of it, counted above too: it has no file
    /// (see [`MemoryImage::fallback`](crate::MemoryImage::fallback)), or more pieces than
    /// slots may map.
    pub n_image_copies: u64,
    /// Starts in a slot of another shard than the thread's own; counted above too.
    pub n_stolen: u64,
    /// Slots that were reserved.
    pub n_reserved: u64,
    /// Calls that had to wait for a slot; each once, however often it had to.
    pub n_waits: u64,
    /// Resets by [`Strategy::ScanAndCopy`].
    pub n_scanned: u64,
    /// Resets by [`Strategy::Drop`].
    pub n_dropped: u64,
    /// Resets by [`Strategy::Remap`].
    pub n_remapped: u64,
    /// Resets by [`Strategy::Copy`].
    pub n_copied: u64,
    /// Resets in one call with others.
    pub n_batched: u64,
    /// Resets that waited for a batch, and then were done one by one: another strategy
    /// was asked for, or the kernel takes no batch.
    pub n_unbatched: u64,
    /// Ready slots whose pages were discarded, since too many were resident.
    pub n_let_go: u64,
    /// Slots that were given up after a failure.
    pub n_poisoned: u64,
    /// Slots that were dropped when their uses ended, since
    /// [`SlotPool::forget`](crate::SlotPool::forget) was called for their image meanwhile.
    pub n_retired: u64,
    /// Slots that exist now, or are just being made: ready, in use, or waiting to be reset.
    pub n_slots: u64,
    /// Slots that are ready now.
    pub n_ready: u64,
    /// Slots that wait to be reset now.
    pub n_queued: u64,
    /// Bytes of the slots' own pages that stayed resident at their last resets.
    pub resident_bytes: u64,
    /// Bytes of the slots' page tables, as far as resets have found them: a page that a
    /// use only read leaves one, too. With `resident_bytes`, what
    /// [`PoolConfig::max_resident`](crate::PoolConfig::max_resident) bounds.
    pub page_table_bytes: u64,
    /// Bytes of the images that slots were started from and that somebody still holds: of
    /// their files on Linux and other unix, of their copies on the heap elsewhere. See
    /// [`MemoryImage::own_bytes`](crate::MemoryImage::own_bytes).
    pub image_bytes: u64,
}

impl PoolStats {
    /// A start in a slot of that kind.
    pub(super) const fn start(&mut self, kind: Kind, is_stolen: bool) {
        // A shard's share may be below zero: see `undo_start`.
        let n_starts = self.starts(kind);
        *n_starts = n_starts.wrapping_add(1);
        self.n_stolen = self.n_stolen.wrapping_add(is_stolen as u64);
    }

    /// It failed.
    pub(super) const fn undo_start(&mut self, kind: Kind, is_stolen: bool) {
        // It may have been counted in another shard: only the sums are meant to be right.
        let n_starts = self.starts(kind);
        *n_starts = n_starts.wrapping_sub(1);
        self.n_stolen = self.n_stolen.wrapping_sub(is_stolen as u64);
    }

    /// Of a sum over all shards, which are asked one after the other: a start that failed
    /// meanwhile may have been taken back without having been seen.
    pub(super) fn no_count_below_zero(&mut self) {
        for count in [
            &mut self.n_hits,
            &mut self.n_maps,
            &mut self.n_blank,
            &mut self.n_stolen,
        ] {
            if i64::try_from(*count).is_err() {
                *count = 0;
            }
        }
    }

    const fn starts(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Hit => &mut self.n_hits,
            Kind::Blank => &mut self.n_blank,
            Kind::TakeOver => &mut self.n_maps,
        }
    }

    pub(super) const fn reset(&mut self, report: &ResetReport) {
        match report.by {
            Strategy::ScanAndCopy => self.n_scanned += 1,
            Strategy::Drop => self.n_dropped += 1,
            Strategy::Copy => self.n_copied += 1,
            // A report never says `Auto`.
            Strategy::Remap | Strategy::Auto => self.n_remapped += 1,
        }
    }

    pub(super) const fn batch(&mut self, report: &BatchReport) {
        self.n_batched += report.n_batched;
        self.n_unbatched += report.n_single;
    }
}

impl AddAssign for PoolStats {
    fn add_assign(&mut self, other: Self) {
        // A shard's share may be below zero: see `undo_start`.
        self.n_hits = self.n_hits.wrapping_add(other.n_hits);
        self.n_maps = self.n_maps.wrapping_add(other.n_maps);
        self.n_blank = self.n_blank.wrapping_add(other.n_blank);
        self.n_stolen = self.n_stolen.wrapping_add(other.n_stolen);
        self.n_image_copies += other.n_image_copies;
        self.n_reserved += other.n_reserved;
        self.n_waits += other.n_waits;
        self.n_scanned += other.n_scanned;
        self.n_dropped += other.n_dropped;
        self.n_remapped += other.n_remapped;
        self.n_copied += other.n_copied;
        self.n_batched += other.n_batched;
        self.n_unbatched += other.n_unbatched;
        self.n_let_go += other.n_let_go;
        self.n_poisoned += other.n_poisoned;
        self.n_retired += other.n_retired;
        self.n_slots += other.n_slots;
        self.n_ready += other.n_ready;
        self.n_queued += other.n_queued;
        self.resident_bytes += other.resident_bytes;
        self.page_table_bytes += other.page_table_bytes;
        self.image_bytes += other.image_bytes;
    }
}
