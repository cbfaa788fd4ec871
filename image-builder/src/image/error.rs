//! Errors of building images.

use core::fmt;

/// Error of building an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The image exceeds the policy's size limit.
    SizeLimit {
        /// The size of the image in bytes.
        image_bytes: u64,
        /// The policy's limit in bytes.
        limit: u64,
    },
    /// The image does not fit in this machine's address space.
    TooLarge {
        /// The size of the image in bytes.
        image_bytes: u64,
    },
    /// The policy rejects memories whose wasm pages are smaller than its host pages.
    PageSize {
        /// The wasm page size in bytes.
        wasm_page: u64,
        /// The host page size in bytes.
        host_page: u64,
    },
    /// Allocation failed.
    OutOfMemory {
        /// The size of the image in bytes.
        image_bytes: u64,
    },
    /// The plan was made for another module.
    WrongPlan,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SizeLimit { image_bytes, limit } => {
                write!(
                    f,
                    "an image of {image_bytes} bytes exceeds the limit of {limit} bytes"
                )
            }
            Self::TooLarge { image_bytes } => {
                write!(
                    f,
                    "an image of {image_bytes} bytes does not fit in the address space"
                )
            }
            Self::PageSize {
                wasm_page,
                host_page,
            } => write!(
                f,
                "the policy rejects wasm pages of {wasm_page} {}, smaller than host pages of {host_page} bytes",
                if *wasm_page == 1 { "byte" } else { "bytes" }
            ),
            Self::OutOfMemory { image_bytes } => {
                write!(f, "failed to allocate an image of {image_bytes} bytes")
            }
            Self::WrongPlan => f.write_str("the plan was made for another module"),
        }
    }
}

impl core::error::Error for BuildError {}
