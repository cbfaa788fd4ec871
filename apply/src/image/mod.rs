//! Images: the initial contents of memories, in a form that slots can start from.

#[cfg(feature = "std")]
mod file;
mod layout;
mod memory_image;
pub(crate) mod placement;

pub use self::memory_image::{ImageSource, MemoryImage};
