//! The bytes of a source without an operating system: a copy on the heap.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

#[cfg(feature = "std")]
use super::super::file::FileError;
use super::super::file::Storage;
use crate::fault;
use crate::os::{Call, OsError};

/// Bytes that do not change: a copy on the heap.
pub(crate) struct Source {
    bytes: Box<[u8]>,
}

/// Prints sizes and addresses, never bytes.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap")
            .field("start", &self.bytes.as_ptr())
            .field("len", &self.bytes.len())
            .finish()
    }
}

impl Source {
    /// There are no files on this path.
    #[allow(clippy::unnecessary_wraps, reason = "files on other systems can fail")]
    pub(crate) fn file<'a>(
        _len: usize,
        _parts: impl Iterator<Item = (usize, &'a [u8])> + Clone,
    ) -> Result<Option<Self>, OsError> {
        Ok(None)
    }

    /// There are no mappings on this path.
    ///
    /// # Safety
    ///
    /// None; other targets have requirements.
    #[cfg(feature = "std")]
    pub(in super::super) const unsafe fn map_file(
        _file: &std::fs::File,
        _offset: u64,
        _len: usize,
    ) -> Result<Self, FileError> {
        Err(FileError::Unsupported)
    }

    pub(crate) fn heap(bytes: &[u8]) -> Result<Self, OsError> {
        fault::point(Call::Allocate)?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len())
            .map_err(|_| OsError::out_of_memory())?;
        copy.extend_from_slice(bytes);
        Ok(Self {
            bytes: copy.into_boxed_slice(),
        })
    }

    pub(crate) const fn storage(&self) -> Storage {
        Storage::Heap
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// No answer of a kernel is used on this path.
    pub(crate) const fn is_trusted(&self) -> bool {
        true
    }

    pub(crate) fn own_bytes(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }
}
