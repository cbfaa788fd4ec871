//! Images that were forgotten while slots held them in use.
//!
//! A slot in use cannot be reached: its user has it. So each use begins with the number of
//! images that had been retired by then, its *epoch*, and where that is still the same when
//! the use ends, there is nothing to be looked up. Otherwise the slot gives its image up if
//! that was retired during the use. A use that begins after the image was retired has a
//! later epoch: to start from an image again makes it an image like any other.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

use super::entry::{Entry, Key};
use super::images::ByImage;
use super::lock;
use crate::image::MemoryImage;

/// The images that slots in use may have to give up.
#[derive(Debug, Default)]
pub(super) struct Retired {
    /// How many times an image was retired.
    epoch: AtomicU64,
    images: Mutex<Images>,
}

/// Epochs that retirements began.
#[derive(Debug, Default)]
struct Images {
    each: ByImage<u64>,
    /// Of all images at once, where there was no room to take note of one.
    all: u64,
}

impl Retired {
    /// The current epoch. Exact for whoever holds the lock of a shard through which the
    /// retirement has to pass: see [`Shared::forget`](super::shared::Shared::forget).
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// From now on, slots whose uses have begun give the image up when they end.
    pub(super) fn add(&self, image: &Arc<MemoryImage>) {
        let mut images = lock(&self.images);
        let epoch = self.epoch() + 1;
        if images.each.insert(image, epoch).is_err() {
            images.all = epoch;
        }
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// Whether the slot's image was retired since its use began; if not, brings its epoch
    /// up to date.
    pub(super) fn concerns(&self, entry: &mut Entry) -> bool {
        let images = lock(&self.images);
        let retired = images.each.get(Key::of(entry.slot.image())).copied();
        if entry.epoch < retired.unwrap_or(0).max(images.all) {
            return true;
        }
        entry.epoch = self.epoch();
        false
    }
}
