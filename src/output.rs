//! Output files: there as a whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Writes a file under a temporary name beside the target, syncs it, and gives it
/// its name; then syncs the directory. Whatever fails, an older file stays intact.
///
/// A target that is no regular file, such as a device or a pipe, is written to as it
/// is: replacing it is not what anybody wants.
///
/// # Errors
///
/// What the system refused, with the target's name.
pub(crate) fn write(
    target: &Path,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<()> {
    let written = match fs::metadata(target) {
        Ok(old) if old.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Ok(old) if !old.is_file() => write_into(target, content),
        Ok(old) => replace(target, Some(old.permissions()), content),
        Err(_) => replace(target, None, content),
    };
    written.map_err(|err| Error::of(&target.display(), format_args!("cannot write: {err}")))
}

fn write_into(target: &Path, content: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(target)?;
    content(&mut file)?;
    file.flush()
}

fn replace(
    target: &Path,
    permissions: Option<fs::Permissions>,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    // Through a link to the file that it names: the link stays.
    let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut temporary = create_in(&directory)?;
    content(temporary.as_file_mut())?;
    if let Some(permissions) = permissions {
        temporary.as_file().set_permissions(permissions)?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(&target).map_err(|err| err.error)?;
    sync_directory(&directory)
}

/// With the permissions of any new file: tempfile's own are for secrets.
fn create_in(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".wasm-meminit-").suffix(".tmp");
    builder.make_in(directory, |path| {
        OpenOptions::new().write(true).create_new(true).open(path)
    })
}

/// So that the new name outlasts a power cut, where directories can be synced.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(directory)?.sync_all() {
        // Not every file system can.
        Err(err) if err.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("out");
        fs::write(&target, "old").expect("written");
        let result = write(&target, |file| {
            file.write_all(b"half of the ne")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert!(result.is_err());
        assert_eq!(fs::read(&target).expect("read"), b"old");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);

        write(&target, |file| file.write_all(b"new")).expect("written");
        assert_eq!(fs::read(&target).expect("read"), b"new");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }
}
