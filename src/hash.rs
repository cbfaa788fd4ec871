//! SHA-256 of the module that an artifact is built from.

use core::fmt::Write;

use sha2::{Digest, Sha256};
use wasm_meminit_image_builder::SourceHash;

use crate::progress::Progress;

/// Of these bytes, in pieces that let progress be seen.
pub(crate) fn sha256(bytes: &[u8], progress: &Progress) -> SourceHash {
    progress.phase("hashing", Some(bytes.len()));
    let mut hasher = Sha256::new();
    for piece in bytes.chunks(1 << 20) {
        hasher.update(piece);
        progress.advance(piece.len());
    }
    SourceHash(hasher.finalize().into())
}

/// In hexadecimal digits.
pub(crate) fn hex(hash: SourceHash) -> String {
    hash.0
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}"); // a `String` always takes it
            text
        })
}
