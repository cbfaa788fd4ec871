//! Tracks images that were evicted while slots in use held them.
//!
//! The pool cannot reach a slot in use: its user owns it. So each use records the number
//! of images that had been retired when it began, its *epoch*. If that number is
//! unchanged when the use ends, there is nothing to look up. Otherwise the slot is
//! dropped if its image was retired during the use. A use that begins after its image was
//! retired has a later epoch: starting from the image again makes it an ordinary image.

use alloc::sync::Arc;

use super::entry::{Entry, Key};
use super::images::ByImage;
use super::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::image::MemoryImage;

/// Images whose slots in use are dropped when their uses end.
#[derive(Debug, Default)]
pub(super) struct Retired {
    /// How many times an image was retired.
    epoch: AtomicU64,
    images: Mutex<Images>,
}

/// The epochs at which images were retired.
#[derive(Debug, Default)]
struct Images {
    each: ByImage<u64>,
    /// The same for all images at once, if there was no memory to record one.
    all: u64,
}

impl Retired {
    /// Returns the current epoch. Exact while the caller holds the lock of a shard that
    /// the retirement has to pass: see [`Shared::evict`](super::shared::Shared::evict).
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Retires an image: slots whose uses have already begun are dropped when those end.
    pub(super) fn add(&self, image: &Arc<MemoryImage>) {
        let mut images = lock(&self.images);
        let epoch = self.epoch() + 1;
        if images.each.insert(image, epoch).is_err() {
            images.all = epoch;
        }
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// Returns whether the slot's image was retired since its use began; if not, updates
    /// the slot's epoch.
    pub(super) fn is_retired(&self, entry: &mut Entry) -> bool {
        let images = lock(&self.images);
        let retired = images.each.get(Key::of(entry.slot.image())).copied();
        if entry.epoch < retired.unwrap_or(0).max(images.all) {
            return true;
        }
        entry.epoch = self.epoch();
        false
    }
}
