//! What can fail: the operating system, an image that does not fit, a wrong order of calls.

use core::fmt;

/// A system call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OsError {
    pub(crate) call: Call,
    pub(crate) code: i32,
}

/// A system call, by the name of its page in section 2 of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// An allocation; not a system call, but it fails like one.
    Allocate,
    /// `fcntl`, which seals a memory file and duplicates a descriptor.
    Fcntl,
    /// `fstat`.
    Fstat,
    /// `fstatfs`.
    Fstatfs,
    /// `ftruncate`.
    Ftruncate,
    /// `ioctl(PAGEMAP_SCAN)`.
    PagemapScan,
    /// `madvise`.
    Madvise,
    /// `memfd_create`.
    MemfdCreate,
    /// `mmap`.
    Mmap,
    /// `mprotect`.
    Mprotect,
    /// `munmap`.
    Munmap,
    /// `open`.
    Open,
    /// `pidfd_open`.
    PidfdOpen,
    /// `process_madvise`.
    ProcessMadvise,
    /// `pwrite`.
    Pwrite,
    /// `unlink`.
    Unlink,
}

impl OsError {
    /// Which call it was.
    pub const fn call(&self) -> Call {
        self.call
    }

    /// The system's error number: see errno(3).
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// An allocation failed. (`ENOMEM` of every system that has error numbers.)
    pub(crate) const fn out_of_memory() -> Self {
        Self {
            call: Call::Allocate,
            code: 12,
        }
    }
}

impl fmt::Display for OsError {
    #[cfg(feature = "std")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = std::io::Error::from_raw_os_error(self.code);
        write!(f, "{}: {cause}", self.call)
    }

    #[cfg(not(feature = "std"))]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: error {}", self.call, self.code)
    }
}

impl core::error::Error for OsError {}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allocate => "allocation",
            Self::Fcntl => "fcntl",
            Self::Fstat => "fstat",
            Self::Fstatfs => "fstatfs",
            Self::Ftruncate => "ftruncate",
            Self::PagemapScan => "ioctl(PAGEMAP_SCAN)",
            Self::Madvise => "madvise",
            Self::MemfdCreate => "memfd_create",
            Self::Mmap => "mmap",
            Self::Mprotect => "mprotect",
            Self::Munmap => "munmap",
            Self::Open => "open",
            Self::PidfdOpen => "pidfd_open",
            Self::ProcessMadvise => "process_madvise",
            Self::Pwrite => "pwrite",
            Self::Unlink => "unlink",
        })
    }
}

/// Some byte of the image that is not zero does not fit the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryTooSmall {
    /// The address behind the image's last byte that is not zero.
    pub image_end: u64,
    /// The memory's size in bytes.
    pub memory_bytes: u64,
}

impl fmt::Display for MemoryTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the image ends at address {:#x}, behind the memory of {:#x} bytes",
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
        /// The address behind its last run.
        image_end: u64,
    },
    /// Its runs are not aligned to the pages of this machine, so that they cannot be
    /// mapped from a file. They can be copied.
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
        /// How many bytes the artifact needs.
        expected: u64,
        /// How many the file has.
        found: u64,
    },
    /// The file is not a regular one.
    NotRegular,
    /// The system maps the file in other pages than those of this machine, as it does with
    /// files of huge pages: a mapping of it would be larger than what was asked for.
    FilePageSize {
        /// The page size of the file, in bytes.
        file: u64,
        /// The page size of this machine, in bytes.
        host: u64,
    },
    /// The memory's bytes do not begin at a page of this machine in the file.
    FileOffset {
        /// Where they begin in the file, in bytes.
        offset: u64,
        /// The page size of this machine, in bytes.
        host: u64,
    },
    /// The file has other bytes than the artifact.
    FileDiffers {
        /// The first that differs: its offset in the file, in bytes.
        offset: u64,
    },
    /// The file is not sealed against writing and shrinking.
    NotSealed,
    /// This target has no files that can be mapped.
    Unsupported,
    /// The operating system refused.
    Os(OsError),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { image_end } => write!(
                f,
                "an image that ends at address {image_end:#x} does not fit the address space"
            ),
            Self::PageSize { image, host } => write!(
                f,
                "runs aligned to {image} bytes cannot be mapped with pages of {host} bytes"
            ),
            Self::NoSuchMemory => f.write_str("the artifact has no such memory"),
            Self::FileTooShort { expected, found } => {
                write!(f, "the file has {found} bytes, the artifact {expected}")
            }
            Self::NotRegular => f.write_str("not a regular file"),
            Self::FilePageSize { file, host } => write!(
                f,
                "the file is mapped in pages of {file} bytes, not of {host} bytes"
            ),
            Self::FileOffset { offset, host } => write!(
                f,
                "offset {offset:#x} in the file is not a multiple of the page of {host} bytes"
            ),
            Self::FileDiffers { offset } => write!(
                f,
                "the file differs from the artifact at offset {offset:#x}"
            ),
            Self::NotSealed => f.write_str("the file is not sealed against writing and shrinking"),
            Self::Unsupported => f.write_str("this target has no files that can be mapped"),
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

/// Why a [`MemorySlot`](crate::MemorySlot) did not do what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotError {
    /// The slot is in use: `reset` it first.
    InUse,
    /// The slot is not in use: `instantiate` first.
    NotInUse,
    /// An earlier failure could not be undone. Nothing of the slot can be read; only
    /// dropping it is left.
    Poisoned,
    /// A memory of that size does not fit the reservation.
    TooLarge {
        /// The size asked for, in bytes.
        bytes: u64,
        /// The largest size that the slot was reserved for, in bytes.
        max_bytes: u64,
    },
    /// A linear memory never shrinks.
    Shrinks {
        /// The size asked for, in bytes.
        bytes: u64,
        /// The current size in bytes.
        current: u64,
    },
    /// The image does not fit a memory of that size.
    MemoryTooSmall(MemoryTooSmall),
    /// This system lacks what was asked for.
    Unsupported,
    /// The operating system refused.
    Os(OsError),
}

impl fmt::Display for SlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("the slot is in use"),
            Self::NotInUse => f.write_str("the slot is not in use"),
            Self::Poisoned => f.write_str("the slot is poisoned by an earlier failure"),
            Self::TooLarge { bytes, max_bytes } => write!(
                f,
                "{bytes} bytes are above the {max_bytes} that were reserved"
            ),
            Self::Shrinks { bytes, current } => {
                write!(
                    f,
                    "a memory of {current} bytes cannot shrink to {bytes} bytes"
                )
            }
            Self::MemoryTooSmall(err) => err.fmt(f),
            Self::Unsupported => f.write_str("this system does not offer that"),
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
