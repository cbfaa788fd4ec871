//! A data segment, as shown and compared.

use alloc::borrow::Cow;

use wasm_meminit::analysis::Reason;

/// One data segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentView<'a> {
    pub(crate) index: u32,
    /// From the name section.
    pub(crate) name: Option<&'a str>,
    /// The memory that it is written to; `None` for a passive segment that the program copies.
    pub(crate) memory: Option<u32>,
    /// The address of its first byte, if that is known.
    pub(crate) addr: Option<u64>,
    pub(crate) data: Cow<'a, [u8]>,
    pub(crate) fate: Fate,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is in the image.
    Static,
    /// It is in the image on behalf of the start function.
    Copied,
    /// It is replayed at each start; the reason is not known for an artifact.
    Replayed(Option<Reason>),
    /// The program copies it, if at all.
    Passive,
}

impl Fate {
    /// Whether its bytes are in an image.
    pub(crate) const fn is_static(self) -> bool {
        matches!(self, Self::Static | Self::Copied)
    }
}

impl SegmentView<'_> {
    /// Returns its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.data.len() as u64
    }

    /// Returns one past its last address, if its address is known.
    pub(crate) fn end(&self) -> Option<u64> {
        self.addr?.checked_add(self.len())
    }
}
