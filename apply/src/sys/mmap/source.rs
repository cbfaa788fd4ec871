//! Bytes that do not change, and the file that can be mapped for them.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::fmt;
use core::ptr::NonNull;
use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::super::super::file::{FileError, Storage};
use super::super::errno::failed;
use super::super::own_file::{anonymous_file, seal};
use super::super::verdict::Verdict;
use super::call::{self, page_bytes};
use crate::fault;
use crate::os::{Call, OsError};

/// Bytes that do not change, and the file that can be mapped for them.
pub(crate) enum Source {
    /// A file of our own, with every part at its position.
    Sparse(MappedFile),
    /// A file with the parts one after the other, from an offset on.
    Packed(MappedFile),
    /// No file: the parts one after the other.
    Heap(Box<[u8]>),
}

/// A file whose bytes never change (invariant 4 of `sys`).
#[derive(Debug)]
pub(crate) struct MappedFile {
    pub(in super::super) file: OwnedFd,
    /// The offset in the file where the bytes start.
    pub(in super::super) offset: u64,
    view: View,
    /// Device and inode number of the file: if our descriptor is closed elsewhere and
    /// another file is opened, that file may get its number.
    identity: (i128, i128),
    /// Whether the kernel's answers about its pages can be trusted: this depends on the
    /// file system.
    #[allow(dead_code, reason = "only Linux tries files out")]
    pub(in super::super) trial: Verdict,
}

impl MappedFile {
    fn new(file: OwnedFd, offset: u64, view: View) -> Result<Self, OsError> {
        let stat = stat(&file)?;
        Ok(Self {
            identity: identity(&stat),
            file,
            offset,
            view,
            trial: Verdict::unknown(),
        })
    }
}

fn stat(file: &OwnedFd) -> Result<rustix::fs::Stat, OsError> {
    fault::point(Call::Fstat)?;
    rustix::fs::fstat(file).map_err(|err| failed(Call::Fstat, err))
}

/// Device and inode. Their types differ between systems; all fit.
fn identity(stat: &rustix::fs::Stat) -> (i128, i128) {
    (i128::from(stat.st_dev), i128::from(stat.st_ino))
}

/// Prints sizes and addresses, never bytes.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sparse(file) => f.debug_tuple("Sparse").field(file).finish(),
            Self::Packed(file) => f.debug_tuple("Packed").field(file).finish(),
            Self::Heap(bytes) => f
                .debug_struct("Heap")
                .field("start", &bytes.as_ptr())
                .field("len", &bytes.len())
                .finish(),
        }
    }
}

/// The number of files that are tried. The kernel does not seal a file while it still
/// holds references to its pages (fcntl(2), `EBUSY`), which it does for a while if this
/// thread changed processors while writing them. Another attempt is worth it: bytes on
/// the heap cannot be mapped.
const SEAL_TRIES: usize = 3;

/// A read-only mapping of the bytes, for copying them.
#[derive(Debug)]
pub(crate) struct View {
    // Invariant: `start..start + len` is mapped readable as long as `self` lives, and its
    // bytes never change (invariant 4 of `sys`).
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: it points to bytes that never change, like a `&'static [u8]`.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    fn new(file: &OwnedFd, offset: u64, len: usize) -> Result<Self, OsError> {
        let start = call::map_view(file, offset, len)?;
        match NonNull::new(start.cast()) {
            Some(start) => Ok(Self { start, len }),
            // Not observed: no system maps the zero page unless asked to.
            None => Err(OsError {
                call: Call::Mmap,
                code: 0,
            }),
        }
    }

    const fn bytes(&self) -> &[u8] {
        // SAFETY: readable and unchanging, by the invariant of the type.
        unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: we own the mapping, and `&mut self` excludes references obtained from
        // `bytes`. If the call fails, only address space is lost.
        let _ = unsafe { call::unmap(self.start.as_ptr().cast::<c_void>(), self.len) };
    }
}

impl Source {
    /// Writes parts, with their positions, to a file of our own of `len` bytes; the gaps
    /// between them stay holes. Returns `None` if it is empty: a file needs a page.
    pub(crate) fn file<'a>(
        len: usize,
        parts: impl Iterator<Item = (usize, &'a [u8])> + Clone,
    ) -> Result<Option<Self>, OsError> {
        if len == 0 {
            return Ok(None);
        }
        let mut file = sealed_file(len, parts.clone());
        for _ in 1..SEAL_TRIES {
            match &file {
                Err(err) if err.code == Errno::BUSY.raw_os_error() => {}
                _ => break,
            }
            file = sealed_file(len, parts.clone());
        }
        let file = file?;
        let view = View::new(&file, 0, len)?;
        Ok(Some(Self::Sparse(MappedFile::new(file, 0, view)?)))
    }

    pub(crate) fn heap(bytes: &[u8]) -> Result<Self, OsError> {
        fault::point(Call::Allocate)?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len()).map_err(|_| OsError {
            call: Call::Allocate,
            code: Errno::NOMEM.raw_os_error(),
        })?;
        copy.extend_from_slice(bytes);
        Ok(Self::Heap(copy.into_boxed_slice()))
    }

    pub(crate) const fn storage(&self) -> Storage {
        match self {
            Self::Sparse(_) => Storage::Sparse,
            Self::Packed(_) => Storage::Packed,
            Self::Heap(_) => Storage::Heap,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Sparse(file) | Self::Packed(file) => file.view.bytes(),
            Self::Heap(bytes) => bytes,
        }
    }

    /// Returns how many bytes of memory or disk it takes, without its holes. The
    /// caller's file is not counted.
    pub(crate) fn own_bytes(&self) -> u64 {
        match self {
            Self::Sparse(file) => {
                // POSIX: in units of 512 bytes, whatever the block size.
                let blocks = stat(&file.file).map_or(0, |stat| stat.st_blocks);
                u64::try_from(blocks).unwrap_or(0).saturating_mul(512)
            }
            Self::Packed(_) => 0,
            Self::Heap(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }

    /// Checks that `len` bytes at `position` can still be mapped from the file.
    pub(in super::super) fn check(&self, position: usize, len: usize) -> Result<(), OsError> {
        let closed = failed(Call::Fstat, Errno::BADF);
        let file = self.file_of().ok_or(closed)?;
        let stat = stat(&file.file)?;
        if identity(&stat) != file.identity {
            return Err(closed);
        }
        // Reading a mapping past the end of the file raises SIGBUS.
        let end = self
            .offset_of(position)
            .saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let page = u64::try_from(page_bytes()).unwrap_or(u64::MAX);
        match size.checked_next_multiple_of(page) {
            Some(size) if end <= size => Ok(()),
            _ => Err(failed(Call::Fstat, Errno::NXIO)),
        }
    }

    /// Returns the file offset of the byte at a position in `bytes`.
    pub(super) fn offset_of(&self, position: usize) -> u64 {
        let offset = self.file_of().map_or(0, |file| file.offset);
        offset.saturating_add(u64::try_from(position).unwrap_or(u64::MAX))
    }

    pub(in super::super) const fn file_of(&self) -> Option<&MappedFile> {
        match self {
            Self::Sparse(file) | Self::Packed(file) => Some(file),
            Self::Heap(_) => None,
        }
    }

    /// Maps `len` bytes of a file from `offset` on, with the parts one after the other.
    ///
    /// # Safety
    ///
    /// The file must have these bytes, and the system must map it in pages of this machine.
    /// Invariant 4 of `sys` must hold for it as long as the source lives.
    pub(in super::super::super) unsafe fn map_file(
        file: &File,
        offset: u64,
        len: usize,
    ) -> Result<Self, FileError> {
        fault::point(Call::Fcntl)?;
        let file: OwnedFd = file
            .try_clone()
            .map_err(|err| OsError {
                call: Call::Fcntl,
                code: err.raw_os_error().unwrap_or(0),
            })?
            .into();
        let view = View::new(&file, offset, len)?;
        Ok(Self::Packed(MappedFile::new(file, offset, view)?))
    }

    pub(super) fn fd(&self) -> Option<&OwnedFd> {
        self.file_of().map(|file| &file.file)
    }
}

/// Refuses a file length above the process's file size limit: getrlimit(2),
/// `RLIMIT_FSIZE`. Otherwise ftruncate(2) and pwrite(2) would raise `SIGXFSZ`, which ends
/// the process.
fn check_file_size(len: usize) -> Result<(), OsError> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    match limit.current {
        Some(max) if max < len => Err(failed(Call::Ftruncate, Errno::FBIG)),
        _ => Ok(()),
    }
}

fn sealed_file<'a>(
    len: usize,
    parts: impl Iterator<Item = (usize, &'a [u8])>,
) -> Result<OwnedFd, OsError> {
    check_file_size(len)?;
    let file = anonymous_file(len)?;
    for (position, bytes) in parts {
        write_at(&file, bytes, u64::try_from(position).unwrap_or(u64::MAX))?;
    }
    seal(&file)?;
    Ok(file)
}

/// Writes all of `bytes`, however few one call accepts: pwrite(2).
fn write_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), OsError> {
    while !bytes.is_empty() {
        fault::point(Call::Pwrite)?;
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(failed(Call::Pwrite, Errno::NOSPC)),
            Ok(n) => {
                bytes = &bytes[n..];
                offset += u64::try_from(n).unwrap_or(u64::MAX);
            }
            Err(Errno::INTR) => {}
            Err(err) => return Err(failed(Call::Pwrite, err)),
        }
    }
    Ok(())
}
