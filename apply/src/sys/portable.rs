//! Without an operating system: memory is a buffer, and nothing is mapped.
//!
//! Keeps the contracts of `linux.rs`, but has no guards. Bytes that are not open cannot
//! be reached through the crate; a stray pointer to them does not fault.

mod absent;
mod buffer;
mod heap;

#[cfg(feature = "std")]
pub(crate) use self::absent::max_mappings;
pub(crate) use self::absent::{Written, batch_support, discard_many, scan_support};
pub(crate) use self::buffer::Reservation;
pub(crate) use self::heap::Source;
#[cfg(feature = "std")]
use super::file::{FileError, MappedIn};
use crate::os::Support;

/// Whether memory can be mapped.
pub(crate) const HAS_MAPPINGS: bool = false;

/// Whether the files that [`Source::file`] creates are sealed memory files. It creates none.
pub(crate) const OWN_FILES_ARE_SEALED: bool = false;

/// Returns the unit to which ranges are rounded; nothing is mapped.
pub(crate) const fn page_bytes() -> usize {
    4096
}

/// This path has no page tables to free.
pub(crate) const fn table_bytes() -> usize {
    2 << 20
}

/// Discarding writes zeros or frees a buffer.
pub(crate) const fn discard_support() -> Support {
    Support::Yes
}

/// There are no seals on this path.
#[cfg(feature = "std")]
pub(super) const fn is_sealed(_file: &std::fs::File) -> bool {
    false
}

/// There are no mappings on this path.
#[cfg(feature = "std")]
pub(super) const fn mapped_in(_file: &std::fs::File) -> Result<MappedIn, FileError> {
    Err(FileError::Unsupported)
}
