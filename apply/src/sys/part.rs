//! What a part of a reservation shows.

use core::ops::Range;

use super::imp::Source;

/// A range of a reservation, and what it will show.
#[derive(Clone, Debug)]
pub(crate) struct Part<'a> {
    /// Positions in the reservation, in bytes; multiples of the host page.
    pub(crate) range: Range<usize>,
    pub(crate) backing: Backing<'a>,
}

/// What a page shows until it is written to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backing<'a> {
    Zero,
    /// The bytes of a source, from a position on.
    File {
        source: &'a Source,
        position: usize,
    },
}
