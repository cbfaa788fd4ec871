//! The first state of one memory: runs of bytes, everything else zero.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use wasm_meminit_analysis::{HostPageSize, Run, StaticMemoryInitializer};

/// The first state of one linear memory: page-aligned runs, everything else zero.
///
/// Owns its bytes in one buffer, run after run, so that all of them can be written
/// to a file at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    // Invariants, of `ImageRef` too:
    // 1. Runs are in address order, not empty, do not touch or overlap, and their
    //    offsets and lengths are multiples of `page_size`.
    // 2. `bytes` is as long as all runs together, and each run ends below 2^64.
    pub(crate) page_size: HostPageSize,
    pub(crate) runs: Vec<Run>,
    pub(crate) bytes: Vec<u8>,
}

impl Image {
    /// The same image, borrowed: what an [`Artifact`](crate::Artifact) gives too.
    pub fn as_ref(&self) -> ImageRef<'_> {
        ImageRef {
            page_size: self.page_size,
            runs: &self.runs,
            bytes: &self.bytes,
        }
    }
}

/// A borrowed [`Image`], from a builder or from an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageRef<'a> {
    pub(crate) page_size: HostPageSize,
    pub(crate) runs: &'a [Run],
    pub(crate) bytes: &'a [u8],
}

impl<'a> ImageRef<'a> {
    /// The page size that runs are aligned to.
    pub const fn page_size(&self) -> HostPageSize {
        self.page_size
    }

    /// Where the runs go, in address order.
    pub const fn layout(&self) -> &'a [Run] {
        self.runs
    }

    /// The bytes of all runs, one behind the other, in address order.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the memory is all zero.
    pub const fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The address behind the last run in bytes; 0 for an empty image.
    ///
    /// At most the memory's size rounded up to a host page.
    pub fn end(&self) -> u64 {
        self.runs.last().map_or(0, Run::end)
    }

    /// Each run with its bytes, in address order.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = StaticMemoryInitializer<'a>> + use<'a> {
        let mut rest = self.bytes;
        self.runs.iter().map(move |run| {
            let len = usize::try_from(run.len).unwrap_or(usize::MAX);
            // Always within: invariant 2.
            let (data, behind) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            rest = behind;
            StaticMemoryInitializer {
                offset: run.offset,
                data: Cow::Borrowed(data),
            }
        })
    }

    /// Each run with its bytes and where those begin in [`bytes`](Self::bytes).
    pub fn runs_with_position(
        &self,
    ) -> impl Iterator<Item = (u64, StaticMemoryInitializer<'a>)> + use<'a> {
        let mut position = 0_u64;
        self.runs().zip(self.runs).map(move |(init, run)| {
            let at = position;
            position = position.saturating_add(run.len);
            (at, init)
        })
    }

    /// A copy that owns its bytes.
    ///
    /// Panics and aborts as `Vec` does where memory runs out; sizes are not from
    /// input here: the bytes exist already.
    pub fn to_image(&self) -> Image {
        Image {
            page_size: self.page_size,
            runs: self.runs.to_vec(),
            bytes: self.bytes.to_vec(),
        }
    }
}
