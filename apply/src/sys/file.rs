//! Files that can be mapped.

#[cfg(feature = "std")]
use std::fs::File;

#[cfg(feature = "std")]
use super::imp::{Source, is_sealed, mapped_in, page_bytes};
#[cfg(feature = "std")]
use crate::os::OsError;

/// How a source stores its bytes, and so what can be mapped of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "only `Heap` is used on targets without mappings")]
pub(crate) enum Storage {
    /// On the heap, one part after the other: nothing can be mapped.
    Heap,
    /// In the caller's file, one part after the other: each can be mapped on its own.
    Packed,
    /// In a file of our own, each part at its position: parts can be mapped together with
    /// the holes between them.
    Sparse,
}

/// Why a file cannot be mapped.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "targets without mappings report only that, the others never do"
)]
pub(crate) enum FileError {
    /// It is not a regular file.
    NotRegular,
    /// The system maps it in units of another size than the pages of this machine.
    PageSize {
        /// The unit, in bytes.
        file: u64,
        /// The page size of this machine, in bytes.
        host: u64,
    },
    /// It ends before the part to be mapped does.
    TooShort {
        /// The length that is needed, in bytes.
        expected: u64,
        /// The length of the file, in bytes.
        found: u64,
    },
    /// This target cannot map files.
    Unsupported,
    /// The system refused.
    Os(OsError),
}

#[cfg(feature = "std")]
impl From<OsError> for FileError {
    fn from(err: OsError) -> Self {
        Self::Os(err)
    }
}

/// Properties of a regular file that matter for mapping it.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MappedIn {
    /// The unit that mappings are rounded up to, in bytes.
    pub(super) page_bytes: u64,
    /// The length of the file, in bytes.
    pub(super) len: u64,
}

/// A file that is protected from writing and shrinking for good, since a seal cannot be
/// removed.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealedFile<'a> {
    // Invariant: `is_sealed` has returned true for it.
    file: &'a File,
}

#[cfg(feature = "std")]
impl<'a> SealedFile<'a> {
    /// Returns `None` if the file is not sealed, or if this target has no seals.
    pub(crate) fn new(file: &'a File) -> Option<Self> {
        is_sealed(file).then_some(Self { file })
    }
}

#[cfg(feature = "std")]
impl Source {
    /// Uses `len` bytes of a file from `offset` on, with the parts one after the other.
    ///
    /// # Safety
    ///
    /// As long as the source lives, nothing may write to the file or truncate it (invariant
    /// 4 of `sys`). The system must map it in pages of this machine, unless `mapped_in`
    /// reports another unit.
    pub(crate) unsafe fn from_file(
        file: &File,
        offset: u64,
        len: usize,
    ) -> Result<Self, FileError> {
        check(file, offset, len)?;
        // SAFETY: the caller guarantees that the file does not change. It is as long as
        // needed, and mapped in pages.
        unsafe { Self::map_file(file, offset, len) }
    }

    /// Uses `len` bytes of a sealed file from `offset` on, with the parts one after the
    /// other.
    pub(crate) fn from_sealed_file(
        file: SealedFile<'_>,
        offset: u64,
        len: usize,
    ) -> Result<Self, FileError> {
        // SAFETY: the file does not change, by the invariant of its type. `mapped_in`
        // reports the unit of the one kind of memory file that is mapped in larger ones.
        unsafe { Self::from_file(file.file, offset, len) }
    }
}

/// Checks that the system maps the file in pages of this machine, and that it is as long as
/// needed.
#[cfg(feature = "std")]
fn check(file: &File, offset: u64, len: usize) -> Result<(), FileError> {
    let found = mapped_in(file)?;
    let host = u64::try_from(page_bytes()).unwrap_or(u64::MAX);
    if found.page_bytes != host {
        return Err(FileError::PageSize {
            file: found.page_bytes,
            host,
        });
    }
    let expected = offset.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
    if found.len < expected {
        return Err(FileError::TooShort {
            expected,
            found: found.len,
        });
    }
    Ok(())
}
