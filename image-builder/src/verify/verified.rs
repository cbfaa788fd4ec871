//! The result of a verification that found no difference.

use alloc::vec::Vec;

use wasm_meminit_analysis::Assumption;

/// What was compared without finding a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Memories.
    pub n_memories: u64,
    /// Segments in the image, including those of a start function.
    pub n_baked: u64,
    /// Active segments in the replay list.
    pub n_replayed: u64,
    /// Replayed segments whose addresses only the host knows.
    pub n_unknown: u64,
    /// Bytes of the segments that both sides wrote.
    pub data_bytes: u64,
    /// Pages of 4 KiB that either side wrote to.
    pub n_pages: u64,
    /// The artifact's assumptions about the host.
    pub assumptions: Vec<Assumption>,
}
