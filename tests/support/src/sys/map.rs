//! Images mapped from files that nobody else knows of.

use std::fs::File;
use std::io::Write;

use wasm_meminit_analysis::MemoryIndex;
use wasm_meminit_apply::{ImageError, MemoryImage};
use wasm_meminit_image_builder::Artifact;

/// Maps the first memory of an artifact from a new file without a name.
///
/// # Errors
///
/// As for [`MemoryImage::map_file`].
///
/// # Panics
///
/// Where there is no such file to be had.
pub(crate) fn map_unlinked(
    artifact: &Artifact<'_>,
    bytes: &[u8],
) -> Result<MemoryImage, ImageError> {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room");
    // SAFETY: a regular file without a name, whose only descriptors are this one and the
    // image's: nobody can write to it or truncate it.
    unsafe { MemoryImage::map_file(artifact, MemoryIndex::from_u32(0), &file) }
}
