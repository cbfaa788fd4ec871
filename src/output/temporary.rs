//! Temporary files, none of which outlives the process unless it is killed by SIGKILL or
//! crashes; `docs/files.md` says what is left then.
//!
//! An unnamed file (`O_TMPFILE`) would not survive even that. But it cannot replace another
//! file in one step, few systems have it, and the others need this code anyway. So there is
//! one method everywhere: a list of the names in use, which are removed before a signal ends the
//! process.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::signals::Held;

/// How many bytes are written between two looks for a signal.
const PIECE: usize = 1 << 20;

/// The names in use. It stays locked while files are renamed, so that a signal waits until
/// either all targets or none are replaced.
static IN_USE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Locks the list of names: no thread removes the files until it is unlocked.
pub(super) fn lock() -> MutexGuard<'static, Vec<PathBuf>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all files, before the process ends: the list stays locked, so that no other one is
/// created.
pub(super) fn remove_all() {
    let in_use = lock();
    for path in in_use.iter() {
        let _ = fs::remove_file(path);
    }
    core::mem::forget(in_use);
}

/// The temporary name of a file, which is deleted on drop unless it was persisted.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    is_persisted: bool,
}

impl Temporary {
    /// Creates a file with the permissions of any new file: tempfile's default ones are for
    /// secrets. A private one is for its owner alone until `finish`. It is open until then.
    pub(super) fn create_in(directory: &Path, is_private: bool) -> io::Result<(Self, File)> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".wasm-meminit-").suffix(".tmp");
        let made = builder.make_in(directory, |path| {
            // Created and listed under one lock: another thread removes it, or it is not there.
            let mut in_use = lock();
            let file = options(is_private).open(path)?;
            in_use.push(path.to_owned());
            Ok(file)
        })?;
        let (file, path) = made.keep().map_err(|err| err.error)?;
        let temporary = Self {
            path,
            is_persisted: false,
        };
        Ok((temporary, file))
    }

    /// Renames the file to `target`, replacing any file there, and removes the temporary name
    /// from the list, which the caller has locked.
    pub(super) fn persist(&mut self, target: &Path, in_use: &mut Vec<PathBuf>) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.is_persisted = true;
        in_use.retain(|it| *it != self.path);
        Ok(())
    }
}

/// How a temporary file is opened.
fn options(is_private: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = is_private;
    options
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_persisted {
            let mut in_use = lock();
            // If this fails, only disk space is lost.
            let _ = fs::remove_file(&self.path);
            in_use.retain(|it| *it != self.path);
        }
    }
}

/// Writes everything to disk, with these permissions, if any, and closes the file: not every system
/// replaces an open one, as restoring the previous file would.
pub(super) fn finish(file: File, permissions: Option<Permissions>) -> io::Result<()> {
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.sync_all()
}

/// Writes to a temporary file, and ends the process between two writes if a signal wants that.
#[derive(Debug)]
pub(super) struct Writer<'t> {
    file: &'t mut File,
    held: &'t Held,
}

impl<'t> Writer<'t> {
    pub(super) const fn new(file: &'t mut File, held: &'t Held) -> Self {
        Self { file, held }
    }

    pub(super) fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.check(remove_all);
        self.file.write(&bytes[..bytes.len().min(PIECE)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Writer<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
