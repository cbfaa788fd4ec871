//! Images of a few bytes, numbers of slots, and every strategy.

use alloc::sync::Arc;
use core::num::NonZeroUsize;

use wasm_meminit_apply::{MemoryImage, Strategy};
use wasm_meminit_image_builder::Image;

/// All of them.
pub const STRATEGIES: [Strategy; 5] = [
    Strategy::Auto,
    Strategy::ScanAndCopy,
    Strategy::Drop,
    Strategy::Remap,
    Strategy::Copy,
];

/// A number of slots, shards or threads.
///
/// # Panics
///
/// If it is 0.
#[track_caller]
pub const fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("not zero")
}

/// An image of these bytes, in the best place that this system has.
///
/// # Panics
///
/// Where there is no room for it.
#[track_caller]
pub fn image(bytes: &[u8]) -> Arc<MemoryImage> {
    let image = Image::capture(bytes).expect("small");
    Arc::new(MemoryImage::new(image.as_ref()).expect("room"))
}
