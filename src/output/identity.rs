//! Which file a path means: by device and inode, through links, before it is written.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::Place;
use crate::input::Source;

/// Links that are followed at the end of a path before it counts as a circle: as many as
/// Linux follows.
const MAX_LINKS: usize = 40;

/// What makes two names one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// A file that exists.
    #[cfg(unix)]
    Inode {
        device: u64,
        inode: u64,
        is_storage: bool,
    },
    /// A file that exists, where the system has no inodes: its canonical path.
    #[cfg(not(unix))]
    Path { path: PathBuf, is_storage: bool },
    /// A file that will be made: its directory and its name there.
    New { directory: Box<Self>, name: PathBuf },
    /// The stdout or stdin of this process, where the system does not say what that is.
    Stream,
}

impl Identity {
    /// Whether writing to it destroys what reading from it finds. Not so for a terminal,
    /// which is input and output at once.
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

    /// Of the input; `None` where it cannot be opened either, which its reader reports.
    pub(super) fn of_input(source: Source<'_>) -> Option<Self> {
        if source.is_stdin() {
            return of_stream(stdin_file());
        }
        let metadata = fs::metadata(source.0).ok()?;
        Self::of(source.0, &metadata).ok()
    }

    /// Of stdout; `None` where it is closed.
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
fn stdin_file() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

#[cfg(unix)]
fn stdout_file() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(not(unix))]
fn stdin_file() -> io::Result<File> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(not(unix))]
fn stdout_file() -> io::Result<File> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// How a path is written to, and which file that is.
///
/// A link is followed: to the file that it names, also where that does not exist yet, as
/// `>` of a shell does. The link itself stays.
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
        Err(err) if err.kind() == io::ErrorKind::NotFound => new_file(path),
        Err(err) => Err(err),
    }
}

/// A path at which nothing is, or a link to nothing.
fn new_file(path: &Path) -> io::Result<(Place, Identity)> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let directory = directory_of(&path);
        let metadata = fs::metadata(&directory)?;
        if !metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        let Some(name) = path.file_name() else {
            // `missing/..`: the system's own words for it.
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
