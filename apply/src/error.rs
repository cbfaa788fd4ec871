//! Errors of images and slots.

use core::fmt;

use crate::os::OsError;
#[cfg(feature = "std")]
use crate::sys::FileError;

/// A non-zero byte of the image does not fit the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryTooSmall {
    /// One past the address of the image's last non-zero byte.
    pub image_end: u64,
    /// The memory's size in bytes.
    pub memory_bytes: u64,
}

impl fmt::Display for MemoryTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the image ends at address {:#x}, past the end of the memory of {:#x} bytes",
            self.image_end, self.memory_bytes
        )
    }
}

impl core::error::Error for MemoryTooSmall {}

/// Why a [`MemoryImage`](crate::MemoryImage) could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// It does not fit the address space of this machine.
    TooLarge {
        /// One past the address of its last run.
        image_end: u64,
    },
    /// Its runs are not aligned to the pages of this machine, so they cannot be mapped
    /// from a file. They can be copied.
    PageSize {
        /// The alignment of the image, in bytes.
        image: u64,
        /// The page size of this machine, in bytes.
        host: u64,
    },
    /// The artifact has no such memory.
    NoSuchMemory,
    /// The file is shorter than the artifact that was read from it.
    FileTooShort {
        /// The size that the artifact needs, in bytes.
        expected: u64,
        /// The size of the file, in bytes.
        found: u64,
    },
    /// The file is not a regular file.
    NotRegular,
    /// The system maps the file in larger pages than those of this machine, as it does
    /// with huge-page files: a mapping of it would be larger than requested.
    FilePageSize {
        /// The page size of the file, in bytes.
        file: u64,
        /// The page size of this machine, in bytes.
        host: u64,
    },
    /// The memory's bytes do not start at a page boundary of this machine in the file.
    FileOffset {
        /// The offset where they start in the file, in bytes.
        offset: u64,
        /// The page size of this machine, in bytes.
        host: u64,
    },
    /// The file's bytes differ from the artifact's.
    FileDiffers {
        /// The offset of the first difference in the file, in bytes.
        offset: u64,
    },
    /// The file is not sealed against writing and shrinking.
    NotSealed,
    /// This target cannot map files.
    Unsupported,
    /// The operating system refused.
    Os(OsError),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { image_end } => write!(
                f,
                "the image ends at address {image_end:#x}, which does not fit the address space"
            ),
            Self::PageSize { image, host } => write!(
                f,
                "runs aligned to {image} bytes cannot be mapped with host pages of {host} bytes"
            ),
            Self::NoSuchMemory => f.write_str("the artifact has no such memory"),
            Self::FileTooShort { expected, found } => {
                write!(
                    f,
                    "the file has {found} bytes, the artifact needs {expected}"
                )
            }
            Self::NotRegular => f.write_str("the file is not a regular file"),
            Self::FilePageSize { file, host } => write!(
                f,
                "the file is mapped in pages of {file} bytes, but the host page is {host} bytes"
            ),
            Self::FileOffset { offset, host } => write!(
                f,
                "file offset {offset:#x} is not a multiple of the host page size of {host} bytes"
            ),
            Self::FileDiffers { offset } => write!(
                f,
                "the file differs from the artifact at offset {offset:#x}"
            ),
            Self::NotSealed => f.write_str("the file is not sealed against writing and shrinking"),
            Self::Unsupported => f.write_str("this target cannot map files"),
            Self::Os(err) => err.fmt(f),
        }
    }
}

impl core::error::Error for ImageError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Os(err) => Some(err),
            _ => None,
        }
    }
}

impl From<OsError> for ImageError {
    fn from(err: OsError) -> Self {
        Self::Os(err)
    }
}

#[cfg(feature = "std")]
impl From<FileError> for ImageError {
    fn from(err: FileError) -> Self {
        match err {
            FileError::NotRegular => Self::NotRegular,
            FileError::PageSize { file, host } => Self::FilePageSize { file, host },
            FileError::TooShort { expected, found } => Self::FileTooShort { expected, found },
            FileError::Unsupported => Self::Unsupported,
            FileError::Os(err) => Self::Os(err),
        }
    }
}

/// Why an operation on a [`MemorySlot`](crate::MemorySlot) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotError {
    /// The slot is in use: `reset` it first.
    InUse,
    /// The slot is not in use: `instantiate` first.
    NotInUse,
    /// An earlier failure could not be undone. Nothing in the slot can be read; it can
    /// only be dropped.
    Poisoned,
    /// A memory of that size does not fit the reservation.
    TooLarge {
        /// The requested size, in bytes.
        bytes: u64,
        /// The largest size that the slot was reserved for, in bytes.
        max_bytes: u64,
    },
    /// A linear memory never shrinks.
    Shrinks {
        /// The requested size, in bytes.
        bytes: u64,
        /// The current size in bytes.
        current: u64,
    },
    /// The image does not fit a memory of that size.
    MemoryTooSmall(MemoryTooSmall),
    /// This system does not support the operation.
    Unsupported,
    /// The operating system refused.
    Os(OsError),
}

impl fmt::Display for SlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("the slot is in use"),
            Self::NotInUse => f.write_str("the slot is not in use"),
            Self::Poisoned => f.write_str("the slot was poisoned by an earlier failure"),
            Self::TooLarge { bytes, max_bytes } => write!(
                f,
                "a memory of {bytes} bytes does not fit the slot, which reserves {max_bytes} bytes"
            ),
            Self::Shrinks { bytes, current } => {
                write!(
                    f,
                    "a memory of {current} bytes cannot shrink to {bytes} bytes"
                )
            }
            Self::MemoryTooSmall(err) => err.fmt(f),
            Self::Unsupported => f.write_str("this system does not support the operation"),
            Self::Os(err) => err.fmt(f),
        }
    }
}

impl core::error::Error for SlotError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Os(err) => Some(err),
            Self::MemoryTooSmall(err) => Some(err),
            _ => None,
        }
    }
}

impl From<OsError> for SlotError {
    fn from(err: OsError) -> Self {
        Self::Os(err)
    }
}

impl From<MemoryTooSmall> for SlotError {
    fn from(err: MemoryTooSmall) -> Self {
        Self::MemoryTooSmall(err)
    }
}
