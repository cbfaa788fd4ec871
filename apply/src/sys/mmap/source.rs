//! Where the bytes of an image are.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::fmt;
use core::ptr::NonNull;
use std::fs::File;
use std::os::fd::OwnedFd;

use super::super::super::fault;
use super::{FILE_KIND, anonymous_file, call, check_file_size, failed, seal};
use crate::error::{Call, ImageError, OsError};
use crate::image::{ImageSource, Layout, Piece, StoredRun};

/// The bytes of an image, and the file that can be mapped for them.
pub(crate) enum Source {
    /// A file of our own that has every byte at its address.
    Whole { file: OwnedFd, view: View },
    /// A file that has run after run, from an offset on.
    Runs {
        file: OwnedFd,
        offset: u64,
        view: View,
    },
    /// No file: run after run.
    Heap(Box<[u8]>),
}

/// Sizes and addresses, never bytes.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { file, view } => f
                .debug_struct("Whole")
                .field("file", file)
                .field("view", view)
                .finish(),
            Self::Runs { file, offset, view } => f
                .debug_struct("Runs")
                .field("file", file)
                .field("offset", offset)
                .field("view", view)
                .finish(),
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
                Err(err) if err.code == rustix::io::Errno::BUSY.raw_os_error() => {}
                _ => break,
            }
            file = sealed_file(layout, bytes);
        }
        let file = file?;
        let view = View::new(&file, 0, layout.len)?;
        Ok(Some(Self::Whole { file, view }))
    }

    pub(crate) fn heap(bytes: &[u8]) -> Result<Self, OsError> {
        fault::point(Call::Allocate)?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len()).map_err(|_| OsError {
            call: Call::Allocate,
            code: rustix::io::Errno::NOMEM.raw_os_error(),
        })?;
        copy.extend_from_slice(bytes);
        Ok(Self::Heap(copy.into_boxed_slice()))
    }

    pub(crate) const fn kind(&self) -> ImageSource {
        match self {
            Self::Whole { .. } => FILE_KIND,
            Self::Runs { .. } => ImageSource::ArtifactFile,
            Self::Heap(_) => ImageSource::Heap,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole { view, .. } | Self::Runs { view, .. } => view.bytes(),
            Self::Heap(bytes) => bytes,
        }
    }

    /// What can be mapped, in address order.
    pub(crate) fn pieces<'a>(
        &'a self,
        runs: &'a [StoredRun],
        len: usize,
    ) -> impl Iterator<Item = Piece<'a>> {
        let whole = matches!(self, Self::Whole { .. }).then_some(Piece {
            source: self,
            offset: 0,
            at: 0,
            len,
        });
        let (runs, offset) = match self {
            Self::Runs { offset, .. } => (runs, *offset),
            _ => (&runs[..0], 0),
        };
        let runs = runs.iter().map(move |run| Piece {
            source: self,
            offset: offset.saturating_add(u64::try_from(run.stored).unwrap_or(u64::MAX)),
            at: run.at,
            len: run.len,
        });
        whole.into_iter().chain(runs)
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
        Ok(Self::Runs { file, offset, view })
    }

    pub(super) const fn fd(&self) -> Option<&OwnedFd> {
        match self {
            Self::Whole { file, .. } | Self::Runs { file, .. } => Some(file),
            Self::Heap(_) => None,
        }
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
            Ok(0) => return Err(failed(Call::Pwrite, rustix::io::Errno::NOSPC)),
            Ok(n) => {
                bytes = &bytes[n..];
                offset += u64::try_from(n).unwrap_or(u64::MAX);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(err) => return Err(failed(Call::Pwrite, err)),
        }
    }
    Ok(())
}
