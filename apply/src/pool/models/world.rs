//! A pool, what its threads do with slots, and what must be true of both.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering};

use shuttle::thread::{self, JoinHandle};
use wasm_meminit_image_builder::Image;

use super::super::{PoolConfig, PoolStats, PooledSlot, ResetOn, SlotPool};
use crate::image::MemoryImage;
use crate::slot::SlotConfig;

/// The size of every memory.
pub(super) const BYTES: u64 = 8192;

/// How many bytes of an image are not zero.
const IMAGE_BYTES: usize = 100;

/// An image of one repeated byte.
#[derive(Clone)]
pub(super) struct Pattern {
    pub(super) byte: u8,
    pub(super) image: Arc<MemoryImage>,
}

pub(super) fn pattern(byte: u8) -> Pattern {
    let image = Image::capture(&[byte; IMAGE_BYTES]).expect("small");
    let image = Arc::new(MemoryImage::new(image.as_ref()).expect("room"));
    Pattern { byte, image }
}

/// A pool that counts its slots in use.
#[derive(Clone)]
pub(super) struct World {
    pub(super) pool: SlotPool,
    n_in_use: Arc<AtomicUsize>,
    max_slots: usize,
}

pub(super) fn n(it: usize) -> NonZeroUsize {
    NonZeroUsize::new(it).expect("not zero")
}

pub(super) fn config(max_slots: usize, n_shards: usize) -> PoolConfig {
    PoolConfig::new(SlotConfig::new(BYTES), n(max_slots)).with_shards(n(n_shards))
}

pub(super) const BATCH_OF_TWO: ResetOn = ResetOn::Batch(NonZeroUsize::new(2).unwrap());

impl World {
    pub(super) fn new(config: PoolConfig) -> Self {
        Self {
            pool: SlotPool::new(config),
            n_in_use: Arc::default(),
            max_slots: config.max_slots.get(),
        }
    }

    /// Starts a memory, waits for a slot if necessary, and ends the use.
    pub(super) fn use_once(&self, pattern: &Pattern) {
        let slot = self.pool.acquire(Some(&pattern.image), BYTES);
        self.use_slot(slot.expect("a slot in the end"), pattern);
    }

    /// Uses a memory that was just started, and ends the use.
    pub(super) fn use_slot(&self, mut slot: PooledSlot, pattern: &Pattern) {
        self.write(&mut slot, pattern);
        self.end(slot);
    }

    /// Checks the contents of a memory that was just started, and overwrites them.
    pub(super) fn write(&self, slot: &mut PooledSlot, pattern: &Pattern) {
        let n_before = self.n_in_use.fetch_add(1, Ordering::SeqCst);
        assert!(n_before < self.max_slots, "more slots in use than exist");
        let (image, rest) = slot.as_slice().split_at(IMAGE_BYTES);
        assert!(image.iter().all(|byte| *byte == pattern.byte), "{image:?}");
        assert!(rest.iter().all(|byte| *byte == 0), "another use's bytes");
        let own: usize = shuttle::current::me().into();
        let own = 0x80 | u8::try_from(own).expect("few threads");
        slot.as_mut_slice().fill(own);
        thread::yield_now();
        let is_own = |byte: &u8| *byte == own;
        assert!(slot.as_slice().iter().all(is_own), "somebody else's slot");
    }

    /// Ends the use of a memory.
    pub(super) fn end(&self, slot: PooledSlot) {
        self.n_in_use.fetch_sub(1, Ordering::SeqCst);
        drop(slot);
    }

    pub(super) fn spawn(&self, run: impl FnOnce(&Self) + Send + 'static) -> JoinHandle<()> {
        let world = self.clone();
        thread::spawn(move || run(&world))
    }

    /// Ensures that no slot, permit or place in the queue was lost after so many uses, and
    /// returns the statistics.
    pub(super) fn assert_at_rest(&self, n_uses: u64) -> PoolStats {
        let stats = self.pool.stats();
        assert_eq!(n_starts(&stats), n_uses, "{stats:?}");
        assert_eq!(stats.n_slots, stats.n_ready + stats.n_queued, "{stats:?}");
        assert!(stats.n_slots <= self.max_slots as u64, "{stats:?}");
        let shared = &self.pool.owner.shared;
        assert!(shared.queue.0.is_empty(), "nobody waits");
        stats
    }

    /// Ensures that as many memories as the pool has slots can be in use at once.
    pub(super) fn assert_full_use(&self, pattern: &Pattern) {
        let start = |_| self.pool.try_acquire(Some(&pattern.image), BYTES);
        let slots: Result<Vec<_>, _> = (0..self.max_slots).map(start).collect();
        let mut slots = slots.expect("no place was lost");
        assert!(start(0).is_err(), "more slots than the limit");
        for slot in &mut slots {
            self.write(slot, pattern);
        }
        for slot in slots {
            self.end(slot);
        }
    }
}

pub(super) fn n_starts(stats: &PoolStats) -> u64 {
    stats.n_hits + stats.n_maps + stats.n_blank
}

/// Returns how many uses were ended by a reset.
pub(super) fn n_resets(stats: &PoolStats) -> u64 {
    stats.n_scan_resets
        + stats.n_discard_resets
        + stats.n_remap_resets
        + stats.n_copy_resets
        + stats.n_batched
        + stats.n_unbatched
}

pub(super) fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("no panic");
    }
}
