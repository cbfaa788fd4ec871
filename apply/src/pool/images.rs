//! Data that a pool keeps about images while they are alive.

use alloc::sync::{Arc, Weak};
use std::collections::HashMap;

use super::entry::Key;
use super::slab::ReserveError;
use crate::image::MemoryImage;

/// A map from images to values.
#[derive(Debug)]
pub(super) struct ByImage<T> {
    /// As long as the `Weak` exists, no other image can have the address.
    known: HashMap<Key, (Weak<MemoryImage>, T)>,
    /// The size at which entries of dropped images are removed.
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
    /// Sets the value of an image.
    pub(super) fn insert(&mut self, image: &Arc<MemoryImage>, it: T) -> Result<(), ReserveError> {
        if self.prune_at <= self.known.len() {
            self.known.retain(|_, (image, _)| image.strong_count() != 0);
            self.prune_at = (2 * self.known.len()).max(16);
        }
        self.known.try_reserve(1).map_err(|_| ReserveError)?;
        let known = (Arc::downgrade(image), it);
        self.known.insert(Key::of(Some(image)), known);
        Ok(())
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        self.known.get(&key).map(|(_, it)| it)
    }

    /// Returns the images that are still alive.
    pub(super) fn alive(&self) -> impl Iterator<Item = Arc<MemoryImage>> {
        self.known.values().filter_map(|(image, _)| image.upgrade())
    }
}

#[cfg(test)]
mod tests {
    use wasm_meminit_image_builder::Image;

    use super::*;

    /// A pool may live as long as its process, and see an image for each request.
    #[test]
    fn images_that_were_dropped_are_forgotten() {
        let image = || {
            let image = Image::capture(&[1]).expect("small");
            Arc::new(MemoryImage::new(image.as_ref()).expect("small"))
        };
        let mut by_image = ByImage::default();
        let kept = [image(), image()];
        for (image, it) in kept.iter().zip([1, 2]) {
            by_image.insert(image, it).expect("enough memory");
        }
        for _ in 0..1000 {
            by_image.insert(&image(), 0).expect("enough memory");
            assert!(by_image.known.len() <= 17, "{}", by_image.known.len());
        }
        assert_eq!(by_image.alive().count(), 2);
        for (image, it) in kept.iter().zip([1, 2]) {
            assert_eq!(by_image.get(Key::of(Some(image))), Some(&it));
        }
    }
}
