//! What a pool knows of images, as long as somebody holds them.

use alloc::sync::{Arc, Weak};
use std::collections::HashMap;

use super::entry::Key;
use super::slab::NoRoom;
use crate::image::MemoryImage;

/// Something for each image.
#[derive(Debug)]
pub(super) struct ByImage<T> {
    /// As long as the `Weak` is here, no other image can have the address.
    known: HashMap<Key, (Weak<MemoryImage>, T)>,
    /// How many there may be before those that are gone are removed.
    prune_at: usize,
}

impl<T> Default for ByImage<T> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            prune_at: 0,
        }
    }
}

impl<T> ByImage<T> {
    /// Replaces what was known of the image.
    pub(super) fn insert(&mut self, image: &Arc<MemoryImage>, it: T) -> Result<(), NoRoom> {
        if self.prune_at <= self.known.len() {
            self.known.retain(|_, (image, _)| image.strong_count() != 0);
            self.prune_at = (2 * self.known.len()).max(16);
        }
        self.known.try_reserve(1).map_err(|_| NoRoom)?;
        let known = (Arc::downgrade(image), it);
        self.known.insert(Key::of(Some(image)), known);
        Ok(())
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        self.known.get(&key).map(|(_, it)| it)
    }

    /// The images that somebody still holds.
    pub(super) fn alive(&self) -> impl Iterator<Item = Arc<MemoryImage>> {
        self.known.values().filter_map(|(image, _)| image.upgrade())
    }
}
