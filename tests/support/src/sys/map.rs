//! Images mapped from unlinked files.

use std::fs::File;
use std::io::Write;

use wasm_meminit_analysis::MemoryIndex;
use wasm_meminit_apply::{ImageError, MemoryImage};
use wasm_meminit_image_builder::Artifact;

/// Maps the first memory of an artifact from a new, unnamed file.
///
/// # Errors
///
/// As for [`MemoryImage::map_file`].
///
/// # Panics
///
/// If no such file can be created.
pub(crate) fn map_unlinked(
    artifact: &Artifact<'_>,
    bytes: &[u8],
) -> Result<(MemoryImage, File), ImageError> {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room");
    // SAFETY: an unnamed regular file, whose only descriptors are the image's and the returned
    // one. Tests that truncate it do not read from it afterwards.
    let image = unsafe { MemoryImage::map_file(artifact, MemoryIndex::from_u32(0), &file) }?;
    Ok((image, file))
}
