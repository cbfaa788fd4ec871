//! Images mapped from files that no other process knows.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use wasm_meminit_analysis::MemoryIndex;
use wasm_meminit_apply::{ImageError, MemoryImage};
use wasm_meminit_image_builder::Artifact;

/// Maps a memory of an artifact from a new, unnamed file with these bytes.
///
/// # Errors
///
/// As for [`MemoryImage::map_file`].
///
/// # Panics
///
/// If no such file can be created.
pub fn map_unlinked(
    artifact: &Artifact<'_>,
    memory: MemoryIndex,
    bytes: &[u8],
) -> Result<(MemoryImage, File), ImageError> {
    let mut file: File = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room");
    // SAFETY: an unnamed regular file, whose only descriptors are the image's and the returned
    // one. Tests that truncate it do not read from it afterwards.
    let image = unsafe { MemoryImage::map_file(artifact, memory, &file) }?;
    Ok((image, file))
}

/// Tries to map a memory of an artifact from a device or a directory.
///
/// # Errors
///
/// As for [`MemoryImage::map_file`].
///
/// # Panics
///
/// If it cannot be opened, or is a regular file.
pub fn map_irregular(
    artifact: &Artifact<'_>,
    memory: MemoryIndex,
    path: &Path,
) -> Result<MemoryImage, ImageError> {
    let file = File::open(path).expect("on every Unix system");
    assert!(!file.metadata().expect("metadata").is_file());
    // SAFETY: `map_file` refuses whatever is not a regular file, so nothing is mapped.
    unsafe { MemoryImage::map_file(artifact, memory, &file) }
}
