//! The results of the measurements.

use wasm_meminit::apply::{Capabilities, ImageError, SlotError};

use super::resets::Reset;
use super::starts::Start;

/// Everything that was measured.
pub(crate) struct Report {
    pub(super) name: String,
    pub(super) capabilities: Capabilities,
    pub(super) page_size: u64,
    pub(super) memories: Vec<MemoryReport>,
}

/// One memory of the module.
pub(super) struct MemoryReport {
    pub(super) index: u32,
    /// The initial size; `None` for 2^64.
    pub(super) bytes: Option<u64>,
    pub(super) image_bytes: u64,
    pub(super) n_runs: usize,
    pub(super) n_replayed: u64,
    pub(super) outcome: Result<Measured, NotMeasured>,
}

pub(super) struct Measured {
    pub(super) starts: Vec<Start>,
    pub(super) resets: Vec<Reset>,
}

/// Why a memory was not measured.
#[derive(Clone, Debug)]
pub(super) enum NotMeasured {
    NoBytes,
    Image(ImageError),
    Slot(SlotError),
    TooLarge,
}

impl core::fmt::Display for NotMeasured {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoBytes => f.write_str("its initial size is 0"),
            Self::Image(err) => err.fmt(f),
            Self::Slot(err) => err.fmt(f),
            Self::TooLarge => f.write_str("it does not fit in the address space"),
        }
    }
}

impl From<SlotError> for NotMeasured {
    fn from(err: SlotError) -> Self {
        Self::Slot(err)
    }
}
