//! SHA-256 of inputs and outputs.

use std::thread::{Builder, Scope};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use wasm_meminit::image_builder::SourceHash;

use super::file::Binary;
use crate::progress::Progress;

/// How many bytes get a thread of their own: hashing them takes ten times as long as starting it.
const MANY: usize = 1 << 20;

impl Binary {
    /// Begins to hash the bytes, if they are many, while the caller does something else. If no
    /// thread can be started, each caller that needs the hash computes it.
    pub(crate) fn hash_early<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        progress: &'scope Progress,
    ) {
        if MANY <= self.bytes.len() {
            let hash = || self.hash_of(&self.bytes, progress);
            let _ = Builder::new().spawn_scoped(scope, hash);
        }
    }

    /// Hashes a module in these bytes. All of them are hashed only once.
    pub(crate) fn hash_of(&self, module: &[u8], progress: &Progress) -> SourceHash {
        match module.len() == self.bytes.len() {
            true => *self.hash.get_or_init(|| sha256(&self.bytes, progress)),
            false => sha256(module, progress),
        }
    }

    /// Hashes the file itself.
    pub(crate) fn file_hash(&self, progress: &Progress) -> SourceHash {
        match &self.text {
            Some(text) => sha256(text, progress),
            None => self.hash_of(&self.bytes, progress),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::bytes::Bytes;
    use super::*;

    #[test]
    fn a_file_and_its_modules_have_their_hashes() {
        let expected = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes));
        for len in [0, MANY - 1, MANY, 3 * MANY + 1] {
            let progress = Progress::start();
            for text in [None, Some(&b"(module)"[..])] {
                let binary = Binary::new(
                    Bytes::Heap(vec![7; len]),
                    text.map(|it| Bytes::Heap(it.to_vec())),
                );
                thread::scope(|scope| {
                    binary.hash_early(scope, &progress);
                    for bytes in [&binary.bytes[len / 3..], &binary.bytes, &binary.bytes] {
                        assert_eq!(binary.hash_of(bytes, &progress).0, expected(bytes));
                    }
                    let file = expected(text.unwrap_or(&binary.bytes));
                    assert_eq!(binary.file_hash(&progress).0, file);
                });
            }
        }
    }
}
