//! No operating system: memories are buffers that grow, images are copied.

mod absent;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use wasm_meminit_image_builder::analysis::HostPageSize;

pub(crate) use self::absent::{Written, batch_support, discard_many, scan_support};
use super::{Access, fault};
#[cfg(feature = "std")]
use crate::error::ImageError;
use crate::error::{Call, OsError};
use crate::image::{ImageSource, Layout, Piece, StoredRun};
use crate::reset::Strategy;

/// `ENOMEM` of most systems; there is no errno here.
const OUT_OF_MEMORY: i32 = 12;

/// What a reset does unless told.
pub(crate) const DEFAULT_STRATEGY: Strategy = Strategy::Copy;

/// What images and slots are rounded to; nothing is mapped.
pub(crate) const fn host_page_size() -> HostPageSize {
    HostPageSize::KIB_4
}

/// There are no seals here.
#[cfg(feature = "std")]
pub(super) const fn is_sealed(_file: &std::fs::File) -> bool {
    false
}

/// A buffer as long as what is open of it.
#[derive(Debug)]
pub(crate) struct Reservation {
    open: Vec<u8>,
    len: usize,
}

impl Reservation {
    /// Room for `len` bytes, none of them there yet.
    pub(crate) fn new(_before: usize, len: usize, _behind: usize) -> Result<Self, OsError> {
        fault::point(Call::Allocate)?;
        Ok(Self {
            open: Vec::new(),
            len,
        })
    }

    pub(crate) const fn open(&self) -> usize {
        self.open.len()
    }

    pub(crate) const fn as_ptr(&mut self) -> *mut u8 {
        self.open.as_mut_ptr()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.open
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.open
    }

    /// Zeroes a range. `Access::None` also closes it and all behind it.
    pub(crate) fn map_zero(&mut self, range: Range<usize>, access: Access) -> Result<(), OsError> {
        let end = range.end.min(self.open.len());
        if let Some(bytes) = self.open.get_mut(range.start..end) {
            bytes.fill(0);
        }
        self.protect(range, access)
    }

    /// Opens a range that follows what is open, or closes one and all behind it.
    pub(crate) fn protect(&mut self, range: Range<usize>, access: Access) -> Result<(), OsError> {
        assert!(range.end <= self.len, "outside of the reservation");
        fault::point(Call::Allocate)?;
        match access {
            Access::None => self.open.truncate(range.start),
            Access::ReadWrite if self.open.len() < range.end => {
                self.open
                    .try_reserve_exact(range.end - self.open.len())
                    .map_err(|_| out_of_memory())?;
                self.open.resize(range.end, 0);
            }
            Access::ReadWrite => {}
        }
        Ok(())
    }

    /// Copies the bytes, where others map them.
    pub(crate) fn map_piece(&mut self, piece: &Piece<'_>) -> Result<(), OsError> {
        let end = piece.at + piece.len;
        self.protect(self.open.len().min(end)..end, Access::ReadWrite)?;
        let from = usize::try_from(piece.offset).unwrap_or(usize::MAX);
        if let Some(bytes) = piece.source.bytes.get(from..from + piece.len) {
            self.open[piece.at..end].copy_from_slice(bytes);
        }
        Ok(())
    }
}

/// The bytes of an image: a copy on the heap.
#[derive(Debug)]
pub(crate) struct Source {
    bytes: Box<[u8]>,
}

impl Source {
    /// There are no files here.
    #[allow(clippy::unnecessary_wraps, reason = "files of other systems can fail")]
    pub(crate) const fn file(_layout: &Layout, _bytes: &[u8]) -> Result<Option<Self>, OsError> {
        Ok(None)
    }

    /// There are no mappings here.
    ///
    /// # Safety
    ///
    /// None is needed; other systems need it.
    #[cfg(feature = "std")]
    pub(super) const unsafe fn from_file(
        _file: &std::fs::File,
        _offset: u64,
        _len: usize,
    ) -> Result<Self, ImageError> {
        Err(ImageError::Unsupported)
    }

    pub(crate) fn heap(bytes: &[u8]) -> Result<Self, OsError> {
        fault::point(Call::Allocate)?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len())
            .map_err(|_| out_of_memory())?;
        copy.extend_from_slice(bytes);
        Ok(Self {
            bytes: copy.into_boxed_slice(),
        })
    }

    pub(crate) const fn kind(&self) -> ImageSource {
        ImageSource::Heap
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn pieces<'a>(
        &'a self,
        _runs: &'a [StoredRun],
        _len: usize,
    ) -> impl Iterator<Item = Piece<'a>> {
        core::iter::empty()
    }
}

const fn out_of_memory() -> OsError {
    OsError {
        call: Call::Allocate,
        code: OUT_OF_MEMORY,
    }
}
