//! What the operating system supports, and how its calls fail.

use core::fmt;

/// A system call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OsError {
    pub(crate) call: Call,
    pub(crate) code: i32,
}

/// A system call, named after its page in section 2 of the manual.
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
    /// Returns the call that failed.
    pub const fn call(&self) -> Call {
        self.call
    }

    /// Returns the system's error number: see errno(3).
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// Returns the error of a failed allocation.
    pub(crate) const fn out_of_memory() -> Self {
        Self {
            call: Call::Allocate,
            code: NO_MEMORY,
        }
    }

    /// Returns whether the call may succeed once something else is freed: addresses, mappings,
    /// tables, or on Linux, after `mlockall`, locked memory.
    #[cfg(feature = "std")]
    pub(crate) const fn is_for_lack_of_room(&self) -> bool {
        self.code == NO_MEMORY || self.is_for_lack_of_locked_memory()
    }

    /// Returns whether a mapping was refused because it would lock more than `RLIMIT_MEMLOCK`,
    /// mmap(2); only of Linux is the error known.
    #[cfg(feature = "std")]
    pub(crate) const fn is_for_lack_of_locked_memory(&self) -> bool {
        cfg!(target_os = "linux") && self.code == TRY_AGAIN
    }
}

/// `ENOMEM` on every system that has error numbers.
const NO_MEMORY: i32 = 12;

/// `EAGAIN` on Linux.
#[cfg(feature = "std")]
const TRY_AGAIN: i32 = 11;

impl fmt::Display for OsError {
    #[cfg(feature = "std")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            // Not an error of the system's.
            0 => write!(f, "{}: not used here", self.call),
            code => {
                let cause = std::io::Error::from_raw_os_error(code);
                write!(f, "{}: {cause}", self.call)
            }
        }
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

/// Whether a feature is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Support {
    /// It was tried and works.
    Yes,
    /// This target does not have the feature.
    Absent,
    /// It was tried, and the system returned this error.
    Refused(OsError),
}

impl Support {
    /// Returns whether the feature works.
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::Absent => f.write_str("no: not on this target"),
            Self::Refused(err) => write!(f, "no: {err}"),
        }
    }
}
