//! SHA-256 of the module that an artifact is built from.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use wasm_meminit::image_builder::SourceHash;

use crate::progress::Progress;

/// Hashes `bytes` in pieces, so that progress can be shown.
pub(crate) fn sha256(bytes: &[u8], progress: &Progress) -> SourceHash {
    sha256_of_parts(&[bytes], progress)
}

/// Hashes the parts of a file, one after another.
pub(crate) fn sha256_of_parts(parts: &[&[u8]], progress: &Progress) -> SourceHash {
    progress.phase("hashing", Some(parts.iter().map(|it| it.len()).sum()));
    let mut hasher = Sha256::new();
    for piece in parts.iter().flat_map(|it| it.chunks(1 << 20)) {
        hasher.update(piece);
        progress.advance(piece.len());
    }
    SourceHash(hasher.finalize().into())
}

/// Formats a hash in hexadecimal digits.
pub(crate) fn hex(hash: SourceHash) -> String {
    HEXLOWER.encode(&hash.0)
}
