//! Tracks how far memories have grown.
//!
//! What a use wrote past the size that it started with stays resident for the next one
//! that grows, without access until then. Uses that do not grow cannot write there: their
//! resets do not scan it.

/// Where memories of a slot have ended.
#[derive(Debug)]
pub(crate) struct Growth {
    /// The largest end of a memory since the last round of ageing.
    highest: usize,
    /// A round kept pages from here on without knowing whether they are still in use.
    unaged: Option<usize>,
    closed: Option<Closed>,
}

/// What was resident past the end of a memory when that was last scanned.
#[derive(Clone, Copy, Debug)]
struct Closed {
    start: usize,
    bytes: usize,
}

impl Growth {
    pub(crate) const fn new() -> Self {
        Self {
            highest: 0,
            unaged: None,
            closed: None,
        }
    }

    /// Records that a use has ended whose memory ended at `end`.
    pub(crate) fn used(&mut self, end: usize) {
        self.highest = self.highest.max(end);
    }

    /// Records that pages up to `end` become accessible.
    pub(crate) fn opened(&mut self, end: usize) {
        if self.closed.is_some_and(|closed| closed.start < end) {
            self.closed = None;
        }
    }

    /// Records that pages past the end of a memory may be gone.
    pub(crate) const fn discarded(&mut self) {
        self.closed = None;
    }

    /// Records how many bytes are resident from `start` on, where nothing is accessible.
    pub(crate) const fn scanned(&mut self, start: usize, bytes: usize) {
        self.closed = Some(Closed { start, bytes });
    }

    /// Returns how many bytes are resident from `start` on, if that is known.
    pub(crate) fn resident_from(&self, start: usize) -> Option<usize> {
        let closed = self.closed.filter(|closed| closed.start == start);
        closed.map(|closed| closed.bytes)
    }

    /// Returns the end of what uses have reached since the last round.
    pub(crate) const fn highest(&self) -> usize {
        self.highest
    }

    /// Returns whether a use whose memory ended at `end` must be followed by a round: the
    /// last one could not age what it kept.
    pub(crate) fn is_due(&self, end: usize) -> bool {
        self.unaged.is_some_and(|unaged| unaged < end)
    }

    /// Records a round after a use whose memory ended at `end`, and how many bytes it has
    /// kept from there on.
    pub(crate) fn after_round(&mut self, end: usize, kept: usize) {
        self.highest = end;
        self.unaged = (kept != 0).then_some(end);
        self.closed = None;
    }
}
