//! Where the bytes of an image are.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::fmt;
use core::ptr::NonNull;
use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::super::super::{fault, page_bytes};
use super::super::{Verdict, try_file};
use super::{FILE_KIND, anonymous_file, call, check_file_size, failed, host_page_size, seal};
use crate::error::{Call, ImageError, OsError};
use crate::image::{ImageSource, Layout};
use crate::placement::Mappable;

/// The bytes of an image, and the file that can be mapped for them.
pub(crate) enum Source {
    /// A file of our own that has every byte at its address.
    Whole(MappedFile),
    /// A file that has run after run, from an offset on.
    Runs(MappedFile),
    /// No file: run after run.
    Heap(Box<[u8]>),
}

/// A file whose bytes never change (invariant 4 of `sys`).
#[derive(Debug)]
pub(crate) struct MappedFile {
    file: OwnedFd,
    /// Where the bytes begin in the file.
    offset: u64,
    view: View,
    /// Device and number of the file: who closes our descriptor, and opens another file,
    /// may get its number.
    identity: (u64, u64),
    /// Whether what the kernel says of its pages is so: each file system has its own.
    trial: Verdict,
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

#[allow(
    clippy::useless_conversion,
    clippy::unnecessary_fallible_conversions,
    reason = "their types differ from system to system"
)]
fn identity(stat: &rustix::fs::Stat) -> (u64, u64) {
    let number = |n: Result<u64, _>| n.unwrap_or(u64::MAX);
    (
        number(u64::try_from(stat.st_dev)),
        number(u64::try_from(stat.st_ino)),
    )
}

/// Sizes and addresses, never bytes.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(file) => f.debug_tuple("Whole").field(file).finish(),
            Self::Runs(file) => f.debug_tuple("Runs").field(file).finish(),
            Self::Heap(bytes) => f
                .debug_struct("Heap")
                .field("start", &bytes.as_ptr())
                .field("len", &bytes.len())
                .finish(),
        }
    }
}

/// A file whose pages the kernel is still busy with is not sealed: fcntl(2), `EBUSY`. It
/// holds on to them for a while where this thread changed processors as it wrote them. So
/// many files are tried; images on the heap cost more with every start.
const SEAL_TRIES: usize = 3;

/// A read-only mapping of the bytes, for whoever copies them.
#[derive(Debug)]
pub(crate) struct View {
    // Invariant: `start..start + len` is mapped readable for as long as `self` lives,
    // and its bytes never change (invariant 4 of `sys`).
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: it is the address of bytes that never change, like a `&'static [u8]`.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    fn new(file: &OwnedFd, offset: u64, len: usize) -> Result<Self, OsError> {
        let start = call::map_view(file, offset, len)?;
        match NonNull::new(start.cast()) {
            Some(start) => Ok(Self { start, len }),
            // Not seen: no system maps the zero page without being told to.
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
        // SAFETY: ours, and `&mut self` excludes a reference that came from `bytes`.
        // Where the call fails, nothing but address space is lost.
        let _ = unsafe { call::unmap(self.start.as_ptr().cast::<c_void>(), self.len) };
    }
}

impl Source {
    /// Writes the runs to a file of our own, each at its address; what lies between
    /// stays a hole. `None` for an empty image: a file needs a page.
    pub(crate) fn file(layout: &Layout, bytes: &[u8]) -> Result<Option<Self>, OsError> {
        if layout.len == 0 {
            return Ok(None);
        }
        let mut file = sealed_file(layout, bytes);
        for _ in 1..SEAL_TRIES {
            match &file {
                Err(err) if err.code == Errno::BUSY.raw_os_error() => {}
                _ => break,
            }
            file = sealed_file(layout, bytes);
        }
        let file = file?;
        let view = View::new(&file, 0, layout.len)?;
        Ok(Some(Self::Whole(MappedFile::new(file, 0, view)?)))
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

    pub(crate) const fn kind(&self) -> ImageSource {
        match self {
            Self::Whole(_) => FILE_KIND,
            Self::Runs(_) => ImageSource::ArtifactFile,
            Self::Heap(_) => ImageSource::Heap,
        }
    }

    pub(crate) const fn mappable(&self) -> Mappable {
        match self {
            Self::Whole(_) => Mappable::Whole,
            Self::Runs(_) => Mappable::Runs,
            Self::Heap(_) => Mappable::Nothing,
        }
    }

    /// Whether what the kernel says of its pages is so: tried out at the first use.
    pub(crate) fn is_trusted(&self) -> bool {
        // All files of our own are alike: one trial is enough.
        static OWN_FILES: Verdict = Verdict::unknown();
        let (file, verdict) = match self {
            Self::Heap(_) => return true,
            Self::Whole(file) => (file, &OWN_FILES),
            Self::Runs(file) => (file, &file.trial),
        };
        let trial = || {
            // Where the descriptor names another file by now, nothing would be found out
            // of ours; and to read a page that it does not have raises SIGBUS.
            // Not for good: other images share the verdict.
            let is_there = self.check(0, page_bytes());
            is_there.map_err(|_| failed(Call::Fstat, Errno::AGAIN))?;
            try_file(&file.file, file.offset)
        };
        verdict.get(Call::Madvise, trial).is_ok()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(file) | Self::Runs(file) => file.view.bytes(),
            Self::Heap(bytes) => bytes,
        }
    }

    /// Bytes that it takes of the machine's memory or disk, its holes left out. Those of
    /// an artifact's file are not its own.
    pub(crate) fn own_bytes(&self) -> u64 {
        match self {
            Self::Whole(file) => {
                // POSIX: in units of 512 bytes, whatever the block size.
                let blocks = stat(&file.file).map_or(0, |stat| stat.st_blocks);
                u64::try_from(blocks).unwrap_or(0).saturating_mul(512)
            }
            Self::Runs(_) => 0,
            Self::Heap(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }

    /// Whether `len` bytes at `position` can still be mapped from the file.
    pub(super) fn check(&self, position: usize, len: usize) -> Result<(), OsError> {
        let closed = failed(Call::Fstat, Errno::BADF);
        let file = self.file_of().ok_or(closed)?;
        let stat = stat(&file.file)?;
        if identity(&stat) != file.identity {
            return Err(closed);
        }
        // A mapping of what the file does not have raises SIGBUS when it is read.
        let end = self
            .offset_of(position)
            .saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        match host_page_size().round_up(size) {
            Some(size) if end <= size => Ok(()),
            _ => Err(failed(Call::Fstat, Errno::NXIO)),
        }
    }

    /// Where the file has the byte at a position of `bytes`.
    pub(super) fn offset_of(&self, position: usize) -> u64 {
        let offset = self.file_of().map_or(0, |file| file.offset);
        offset.saturating_add(u64::try_from(position).unwrap_or(u64::MAX))
    }

    const fn file_of(&self) -> Option<&MappedFile> {
        match self {
            Self::Whole(file) | Self::Runs(file) => Some(file),
            Self::Heap(_) => None,
        }
    }

    /// Takes `len` bytes of a file from `offset` on, run after run.
    ///
    /// # Safety
    ///
    /// Invariant 4 of `sys` holds for the file for as long as the source lives.
    pub(crate) unsafe fn from_file(
        file: &File,
        offset: u64,
        len: usize,
    ) -> Result<Self, ImageError> {
        fault::point(Call::Fcntl)?;
        let file: OwnedFd = file
            .try_clone()
            .map_err(|err| OsError {
                call: Call::Fcntl,
                code: err.raw_os_error().unwrap_or(0),
            })?
            .into();
        let view = View::new(&file, offset, len)?;
        Ok(Self::Runs(MappedFile::new(file, offset, view)?))
    }

    pub(super) fn fd(&self) -> Option<&OwnedFd> {
        self.file_of().map(|file| &file.file)
    }
}

fn sealed_file(layout: &Layout, bytes: &[u8]) -> Result<OwnedFd, OsError> {
    check_file_size(layout.len)?;
    let file = anonymous_file(layout.len)?;
    for run in &layout.runs {
        let data = &bytes[run.stored..run.stored + run.len];
        write_at(&file, data, u64::try_from(run.at).unwrap_or(u64::MAX))?;
    }
    seal(&file)?;
    Ok(file)
}

/// All of `bytes`, however few a call takes: pwrite(2).
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
