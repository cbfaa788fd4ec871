//! SHA-256 of the module that an artifact is built from.

use std::thread::{self, Scope, ScopedJoinHandle};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use wasm_meminit::image_builder::SourceHash;

use crate::progress::Progress;

/// How many bytes get a thread of their own: hashing them takes ten times as long as starting it.
const MANY: usize = 1 << 20;

/// Hashes a large file while it is parsed and planned.
pub(crate) struct Hashing<'scope> {
    file: &'scope [u8],
    /// `None` if the file is small or no thread could be started.
    thread: Option<ScopedJoinHandle<'scope, SourceHash>>,
    progress: &'scope Progress,
}

impl<'scope> Hashing<'scope> {
    /// Begins to hash a file, if that hash will be needed.
    pub(crate) fn start(
        scope: &'scope Scope<'scope, '_>,
        file: &'scope [u8],
        is_needed: bool,
        progress: &'scope Progress,
    ) -> Self {
        let hash = || sha256(file, progress);
        let thread = (is_needed && MANY <= file.len())
            .then(|| thread::Builder::new().spawn_scoped(scope, hash).ok())
            .flatten();
        Self {
            file,
            thread,
            progress,
        }
    }

    /// Returns the hash of a module in the file, or of the whole file.
    pub(crate) fn of(&mut self, module: &[u8]) -> SourceHash {
        let is_whole = module.len() == self.file.len();
        let thread = self.thread.take_if(|_| is_whole);
        let hashed = thread.and_then(|it| it.join().ok());
        hashed.unwrap_or_else(|| sha256(module, self.progress))
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
    use super::*;

    #[test]
    fn a_file_and_its_modules_have_their_hashes() {
        for len in [0, MANY - 1, MANY, 3 * MANY + 1] {
            let file = vec![7; len];
            let module = &file[len / 3..];
            let progress = Progress::start();
            thread::scope(|scope| {
                let mut hashing = Hashing::start(scope, &file, true, &progress);
                for bytes in [module, &file, &file] {
                    let expected = <[u8; 32]>::from(Sha256::digest(bytes));
                    assert_eq!(hashing.of(bytes).0, expected);
                }
            });
        }
    }
}
