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
) -> Result<(MemoryImage, File), ImageError> {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room");
    // SAFETY: a regular file without a name, whose only descriptors are the image's and the
    // one that is returned. Tests that truncate it read nothing of it afterwards.
    let image = unsafe { MemoryImage::map_file(artifact, MemoryIndex::from_u32(0), &file) }?;
    Ok((image, file))
}
