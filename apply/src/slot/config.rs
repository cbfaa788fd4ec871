//! Configuration of a slot.

use super::strategy::Strategy;
use crate::image::placement::MAX_PIECES;
#[cfg(feature = "std")]
use crate::sys::max_mappings;

/// Configuration of a [`MemorySlot`](crate::MemorySlot).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotConfig {
    pub(crate) max_bytes: u64,
    pub(crate) guard_bytes: u64,
    pub(crate) guard_before_bytes: u64,
    pub(crate) strategy: Strategy,
    pub(crate) keep_resident_bytes: u64,
    pub(crate) max_pieces: usize,
}

/// The default of [`SlotConfig::with_keep_resident`], in bytes.
const KEEP_RESIDENT: u64 = 4 << 20;

/// The default of [`SlotConfig::with_max_pieces`].
const PIECES: usize = 8;

impl SlotConfig {
    /// Configures a slot for memories of at most `max_bytes` bytes.
    ///
    /// The guard after the memory is 64 KiB by default.
    ///
    /// Slots of 16 MiB or more reserve up to 2 MiB of additional address space, so that
    /// they share no page table with their neighbours (with host pages of 4 KiB; in
    /// general, the range of one page table, for slots of at least eight times that). Slots
    /// of 1 GiB or more reserve up to 1 GiB instead, the range of a table of the next level,
    /// if the process has the addresses.
    pub const fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            guard_bytes: 0x1_0000,
            guard_before_bytes: 0,
            strategy: Strategy::Auto,
            keep_resident_bytes: KEEP_RESIDENT,
            max_pieces: PIECES,
        }
    }

    #[cfg(feature = "std")]
    pub(crate) const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Sets how many bytes after the largest memory are inaccessible, at least.
    ///
    /// Default: 64 KiB. An engine that omits bounds checks needs as many as an
    /// instruction's address can reach. Where
    /// [`MemorySlot::HAS_GUARDS`](crate::MemorySlot::HAS_GUARDS) is false, there is none.
    #[must_use]
    pub const fn with_guard(mut self, bytes: u64) -> Self {
        self.guard_bytes = bytes;
        self
    }

    /// Sets how many bytes before the memory's base are inaccessible, at least.
    ///
    /// Default: 0. Where [`MemorySlot::HAS_GUARDS`](crate::MemorySlot::HAS_GUARDS) is false,
    /// there are none.
    #[must_use]
    pub const fn with_guard_before(mut self, bytes: u64) -> Self {
        self.guard_before_bytes = bytes;
        self
    }

    /// Sets how the slot is reset. Default: [`Strategy::Auto`].
    #[must_use]
    pub const fn with_strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets how many bytes of written pages may stay resident between uses.
    ///
    /// Default: 4 MiB. The pages are reset to their initial contents; the next use that
    /// writes to them takes no fault. That includes pages that a use wrote after its
    /// memory had grown: they are inaccessible until another memory grows there, and are
    /// discarded once no use has for some time.
    ///
    /// This is observable: by timing its first writes, a use can tell which pages earlier
    /// uses wrote to, though not what. With 0 every page is discarded; what can still be
    /// timed is whether a page table of two megabytes exists, until it is freed too, and
    /// which pages of zeros within an image's file were read in any slot
    /// ([`MemoryImage::in_heap`](crate::MemoryImage::in_heap) has no file).
    #[must_use]
    pub const fn with_keep_resident(mut self, bytes: u64) -> Self {
        self.keep_resident_bytes = bytes;
        self
    }

    /// Sets how many pieces an image with large holes may be mapped in, from 1 to 64.
    ///
    /// Default: 8. Effectively rounded down to a power of two.
    ///
    /// Each piece takes two of the mappings that a process may have (on Linux 65,530 by
    /// default, `vm.max_map_count`) and about 4 µs of a slot's first start. With fewer
    /// pieces, holes are mapped too, and a program that reads them makes the image's file
    /// larger; the sparsest images are partly copied.
    #[must_use]
    pub const fn with_max_pieces(mut self, pieces: usize) -> Self {
        self.max_pieces = if pieces == 0 {
            1
        } else if MAX_PIECES < pieces {
            MAX_PIECES
        } else {
            pieces
        };
        self
    }

    /// Limits the pieces of each of `n_slots` slots, so that all of them together take at
    /// most half of the mappings that a process may have.
    #[cfg(feature = "std")]
    pub(crate) fn among(mut self, n_slots: usize) -> Self {
        // Two mappings for each piece, and two more for the slot.
        let per_slot = max_mappings() / 2 / n_slots.max(1);
        self.max_pieces = self.max_pieces.min((per_slot / 2).saturating_sub(1)).max(1);
        self
    }
}
