//! Files that can be mapped.

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
pub(crate) struct MappedIn {
    /// The unit that mappings are rounded up to, in bytes.
    pub(crate) page_bytes: u64,
    /// The length of the file, in bytes.
    pub(crate) len: u64,
}
