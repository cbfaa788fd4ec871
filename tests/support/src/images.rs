//! Small images, numbers of slots, and all strategies.

use alloc::sync::Arc;
use core::num::NonZeroUsize;

use wasm_meminit_apply::{MemoryImage, Strategy};
use wasm_meminit_image_builder::Image;

/// All strategies.
pub const STRATEGIES: [Strategy; 5] = [
    Strategy::Auto,
    Strategy::ScanAndCopy,
    Strategy::Discard,
    Strategy::Remap,
    Strategy::Copy,
];

/// Returns a number of slots, shards or threads.
///
/// # Panics
///
/// If it is 0.
#[track_caller]
pub const fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("not zero")
}

/// Creates an image of these bytes from the best source that this system supports.
///
/// # Panics
///
/// If there is no memory for it.
#[track_caller]
pub fn image(bytes: &[u8]) -> Arc<MemoryImage> {
    let image = Image::capture(bytes).expect("small");
    Arc::new(MemoryImage::new(image.as_ref()).expect("room"))
}
