//! What a module's memory is initialised from.

use alloc::sync::Arc;

use wasm_meminit_image_builder::analysis::MemoryType;

use crate::image::MemoryImage;

/// One memory of a [`PreparedModule`](crate::PreparedModule).
#[derive(Clone, Debug)]
pub struct PreparedMemory {
    pub(super) ty: MemoryType,
    pub(super) imported: bool,
    /// `None` if nothing is baked.
    pub(super) image: Option<Arc<MemoryImage>>,
}

impl PreparedMemory {
    /// Returns the memory's type.
    pub const fn ty(&self) -> MemoryType {
        self.ty
    }

    /// Returns whether the module imports the memory.
    pub const fn is_imported(&self) -> bool {
        self.imported
    }

    /// Returns the size in bytes that the module declares, with which a slot starts.
    ///
    /// Saturates: no machine can hold a memory of 2⁶⁴ bytes.
    pub fn min_bytes(&self) -> u64 {
        self.ty.min_bytes().unwrap_or(u64::MAX)
    }

    /// Returns the image that a slot starts from; `None` if nothing is baked, so that it
    /// starts zeroed. Segments to replay are not part of it.
    pub const fn image(&self) -> Option<&Arc<MemoryImage>> {
        self.image.as_ref()
    }
}
