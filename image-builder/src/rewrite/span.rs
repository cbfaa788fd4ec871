//! Ranges of addresses that segments write.

/// A non-empty range of addresses that one segment writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Span {
    pub(super) const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}
