//! Statistics of a pool.

use core::ops::AddAssign;

use super::entry::Kind;
use crate::slot::BatchReport;
use crate::slot::{ResetReport, Strategy};

/// Counters of a [`SlotPool`](crate::SlotPool) since it was created, and what it holds
/// now.
///
/// Shards are read one after the other while other threads keep running: each number is
/// exact, but the numbers are from slightly different moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Starts in a slot that already held the image: nothing was mapped. This counter and
    /// the next three count only starts that succeeded.
    pub n_hits: u64,
    /// Starts in a slot that held another image, which was replaced.
    pub n_maps: u64,
    /// Starts in a slot that held no image, or was new.
    pub n_blank: u64,
    /// Starts that copied all or a part of the image, also counted above: the image has
    /// no file (see [`MemoryImage::fallback`](crate::MemoryImage::fallback)), or more
    /// pieces than slots may map.
    pub n_image_copies: u64,
    /// Starts in a slot from another shard than the thread's own, also counted above.
    pub n_stolen: u64,
    /// Slots reserved.
    pub n_reserved: u64,
    /// Calls that waited for a slot; each is counted once, however often it waited.
    pub n_waits: u64,
    /// Resets by [`Strategy::ScanAndCopy`].
    pub n_scan_resets: u64,
    /// Resets by [`Strategy::Discard`].
    pub n_discard_resets: u64,
    /// Resets by [`Strategy::Remap`].
    pub n_remap_resets: u64,
    /// Resets by [`Strategy::Copy`].
    pub n_copy_resets: u64,
    /// Resets in one system call with others.
    pub n_batched: u64,
    /// Resets that were queued for a batch and then done one by one: another strategy was
    /// requested, or the kernel does not support batches.
    pub n_unbatched: u64,
    /// Ready slots whose pages were discarded because too many bytes were resident.
    pub n_discarded: u64,
    /// Slots dropped after a failure.
    pub n_poisoned: u64,
    /// Slots dropped when their uses ended, because
    /// [`SlotPool::evict`](crate::SlotPool::evict) had been called for their image.
    pub n_retired: u64,
    /// Slots that exist now or are being created: ready, in use, or queued for a reset.
    pub n_slots: u64,
    /// Slots that are ready now.
    pub n_ready: u64,
    /// Slots that are queued for a reset now.
    pub n_queued: u64,
    /// Size in bytes of the slots' own pages that stayed resident at their last resets.
    pub resident_bytes: u64,
    /// Size in bytes of the slots' page tables, as far as resets have found them: a page
    /// that was only read leaves one, too.
    /// [`PoolConfig::with_max_resident`](crate::PoolConfig::with_max_resident) limits the sum of
    /// this and `resident_bytes`.
    pub page_table_bytes: u64,
    /// Size in bytes of the images that slots were started from and that are still alive:
    /// of their files on Linux and other Unix systems, of their copies on the heap
    /// elsewhere. See [`MemoryImage::own_bytes`](crate::MemoryImage::own_bytes).
    pub image_bytes: u64,
}

impl PoolStats {
    /// Counts a start in a slot of that kind.
    pub(super) const fn start(&mut self, kind: Kind, is_stolen: bool) {
        // A shard's share may be negative: see `undo_start`.
        let n_starts = self.starts(kind);
        *n_starts = n_starts.wrapping_add(1);
        self.n_stolen = self.n_stolen.wrapping_add(is_stolen as u64);
    }

    /// Takes back the count of a start that failed.
    pub(super) const fn undo_start(&mut self, kind: Kind, is_stolen: bool) {
        // It may have been counted in another shard: only the sums are exact.
        let n_starts = self.starts(kind);
        *n_starts = n_starts.wrapping_sub(1);
        self.n_stolen = self.n_stolen.wrapping_sub(is_stolen as u64);
    }

    /// Raises negative counts to zero. The shards are read one after the other, so the
    /// undoing of a failed start may be seen without the start itself.
    pub(super) fn clamp_counts_to_zero(&mut self) {
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
            Strategy::ScanAndCopy => self.n_scan_resets += 1,
            Strategy::Discard => self.n_discard_resets += 1,
            Strategy::Copy => self.n_copy_resets += 1,
            // A report never contains `Auto`.
            Strategy::Remap | Strategy::Auto => self.n_remap_resets += 1,
        }
    }

    pub(super) const fn batch(&mut self, report: &BatchReport) {
        self.n_batched += report.n_batched;
        self.n_unbatched += report.n_single;
    }
}

impl AddAssign for PoolStats {
    fn add_assign(&mut self, other: Self) {
        // A shard's share may be negative: see `undo_start`.
        self.n_hits = self.n_hits.wrapping_add(other.n_hits);
        self.n_maps = self.n_maps.wrapping_add(other.n_maps);
        self.n_blank = self.n_blank.wrapping_add(other.n_blank);
        self.n_stolen = self.n_stolen.wrapping_add(other.n_stolen);
        self.n_image_copies += other.n_image_copies;
        self.n_reserved += other.n_reserved;
        self.n_waits += other.n_waits;
        self.n_scan_resets += other.n_scan_resets;
        self.n_discard_resets += other.n_discard_resets;
        self.n_remap_resets += other.n_remap_resets;
        self.n_copy_resets += other.n_copy_resets;
        self.n_batched += other.n_batched;
        self.n_unbatched += other.n_unbatched;
        self.n_discarded += other.n_discarded;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every counter has another value.
    const fn stats(n: u64) -> PoolStats {
        PoolStats {
            n_hits: 3 * n,
            n_maps: 5 * n,
            n_blank: 7 * n,
            n_image_copies: 9 * n,
            n_stolen: 11 * n,
            n_reserved: 13 * n,
            n_waits: 15 * n,
            n_scan_resets: 17 * n,
            n_discard_resets: 19 * n,
            n_remap_resets: 21 * n,
            n_copy_resets: 23 * n,
            n_batched: 25 * n,
            n_unbatched: 27 * n,
            n_discarded: 29 * n,
            n_poisoned: 31 * n,
            n_retired: 33 * n,
            n_slots: 35 * n,
            n_ready: 37 * n,
            n_queued: 39 * n,
            resident_bytes: 41 * n,
            page_table_bytes: 43 * n,
            image_bytes: 45 * n,
        }
    }

    #[test]
    fn the_counters_of_a_pool_are_the_sums_of_its_shards() {
        let mut sum = PoolStats::default();
        for n in [1, 10, 100] {
            sum += stats(n);
        }
        assert_eq!(sum, stats(111));
    }

    /// A start is counted in one shard, and taken back in another.
    #[test]
    fn a_failed_start_leaves_no_count() {
        for (kind, is_stolen) in [
            (Kind::Hit, false),
            (Kind::Blank, true),
            (Kind::TakeOver, true),
        ] {
            let (mut one, mut other) = (PoolStats::default(), PoolStats::default());
            one.start(kind, is_stolen);
            other.undo_start(kind, is_stolen);
            let mut seen_early = other;
            seen_early.clamp_counts_to_zero();
            assert_eq!(seen_early, PoolStats::default());
            one += other;
            assert_eq!(one, PoolStats::default());
        }
    }
}
