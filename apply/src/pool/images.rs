//! The images that a pool has started slots from, to be counted.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use std::collections::HashMap;
use std::sync::Mutex;

use super::entry::Key;
use super::lock;
use crate::image::MemoryImage;

/// Images, as long as somebody holds them.
#[derive(Debug, Default)]
pub(super) struct Images {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// As long as the `Weak` is here, no other image can have the address.
    by_key: HashMap<Key, Weak<MemoryImage>>,
    /// How many there may be before those that are gone are removed.
    prune_at: usize,
}

impl Images {
    /// Takes note of an image that a slot has been started from which did not hold it.
    /// Where there is no room for that, it is not counted.
    pub(super) fn add(&self, image: &Arc<MemoryImage>) {
        let mut known = lock(&self.known);
        if known.prune_at <= known.by_key.len() {
            known.by_key.retain(|_, image| image.strong_count() != 0);
            known.prune_at = (2 * known.by_key.len()).max(16);
        }
        if known.by_key.try_reserve(1).is_ok() {
            let key = Key::of(Some(image));
            known.by_key.insert(key, Arc::downgrade(image));
        }
    }

    /// Bytes that they take. The system is asked after the lock is released.
    pub(super) fn own_bytes(&self) -> u64 {
        let known = lock(&self.known);
        let alive: Vec<_> = known.by_key.values().filter_map(Weak::upgrade).collect();
        drop(known);
        alive.iter().map(|image| image.own_bytes()).sum()
    }
}
