//! Identifies the file that a path refers to, by device and inode and through links, before
//! anything is written.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::place::Place;
use crate::input::{Source, stdin_file};

/// How many links are followed at the end of a path before it counts as a loop: as many as
/// Linux follows.
const MAX_LINKS: usize = 40;

/// Identifies a file, whatever its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// An existing file.
    #[cfg(unix)]
    Inode {
        device: u64,
        inode: u64,
        is_storage: bool,
    },
    /// An existing file on a system without inodes: its canonical path.
    #[cfg(not(unix))]
    Path { path: PathBuf, is_storage: bool },
    /// A file that does not exist yet: its directory and its name there.
    New { directory: Box<Self>, name: PathBuf },
    /// The stdout or stdin of this process, if the system cannot identify it.
    Stream,
}

impl Identity {
    /// Whether writing to it overwrites what can be read from it. This is not so for a
    /// terminal, which is both input and output.
    pub(super) const fn is_storage(&self) -> bool {
        match self {
            #[cfg(unix)]
            Self::Inode { is_storage, .. } => *is_storage,
            #[cfg(not(unix))]
            Self::Path { is_storage, .. } => *is_storage,
            Self::New { .. } => true,
            Self::Stream => false,
        }
    }

    #[cfg(unix)]
    fn of(_path: &Path, metadata: &Metadata) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        let kind = metadata.file_type();
        Ok(Self::Inode {
            device: metadata.dev(),
            inode: metadata.ino(),
            is_storage: kind.is_file() || kind.is_block_device() || kind.is_dir(),
        })
    }

    #[cfg(not(unix))]
    fn of(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self::Path {
            path: fs::canonicalize(path)?,
            is_storage: metadata.is_file() || metadata.is_dir(),
        })
    }

    /// Returns the identity of the input, or `None` if it cannot be accessed; its reader then
    /// reports the error.
    pub(super) fn of_input(source: Source<'_>) -> Option<Self> {
        if source.is_stdin() {
            return of_stream(stdin_file());
        }
        Self::of_file(source.0)
    }

    /// Returns the identity of a file, or `None` if it does not exist or cannot be accessed.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Self::of(path, &metadata).ok()
    }

    /// Returns the identity of stdout, or `None` if it is closed.
    pub(super) fn of_stdout() -> Option<Self> {
        of_stream(stdout_file())
    }
}

#[cfg(unix)]
fn of_stream(file: io::Result<File>) -> Option<Identity> {
    Identity::of(Path::new("-"), &file.ok()?.metadata().ok()?).ok()
}

#[cfg(not(unix))]
fn of_stream(file: io::Result<File>) -> Option<Identity> {
    file.ok().map(|_| Identity::Stream)
}

#[cfg(unix)]
fn stdout_file() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(not(unix))]
fn stdout_file() -> io::Result<File> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Returns how to write to a path, and the identity of the file.
///
/// Follows links, even to a file that does not exist yet, as `>` does in a shell. The link
/// itself is kept.
pub(super) fn resolve(path: &Path, stdout: Option<&Identity>) -> io::Result<(Place, Identity)> {
    if path.as_os_str() == "-" {
        return Ok((Place::Stdout, stdout.cloned().unwrap_or(Identity::Stream)));
    }
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Ok(metadata) => {
            let identity = Identity::of(path, &metadata)?;
            let place = if stdout == Some(&identity) {
                Place::Stdout
            } else if metadata.is_file() {
                Place::File(fs::canonicalize(path)?)
            } else {
                Place::Special
            };
            Ok((place, identity))
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound && names_directory(path) => {
            let cause = "no such directory; a path that ends with a slash cannot name a file";
            Err(io::Error::new(io::ErrorKind::NotFound, cause))
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => new_file(path),
        Err(err) => Err(err),
    }
}

/// Whether a path ends with a separator, so that only a directory can have it. `file_name`
/// does not tell.
fn names_directory(path: &Path) -> bool {
    let last = path.as_os_str().as_encoded_bytes().last();
    last.is_some_and(|it| std::path::is_separator(char::from(*it)))
}

/// Resolves a path that does not exist, or a dangling link.
fn new_file(path: &Path) -> io::Result<(Place, Identity)> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let directory = directory_of(&path);
        let metadata = fs::metadata(&directory)?;
        if !metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        let Some(name) = path.file_name() else {
            // A path such as `missing/..`: report what the system would.
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        let place = fs::canonicalize(&directory)?.join(name);
        match fs::read_link(&place) {
            // Relative to the directory that holds the link.
            Ok(link) => path = fs::canonicalize(&directory)?.join(link),
            Err(_) => {
                let identity = Identity::New {
                    directory: Box::new(Identity::of(&directory, &metadata)?),
                    name: PathBuf::from(name),
                };
                return Ok((Place::File(place), identity));
            }
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
