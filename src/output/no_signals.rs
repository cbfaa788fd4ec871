//! For systems without signals.

/// Nothing waits here.
#[derive(Debug)]
pub(super) struct Held;

impl Held {
    pub(super) const fn new() -> Self {
        Self
    }

    pub(super) fn check(&self, _clean_up: fn()) {}

    pub(super) fn watch(&self, _clean_up: fn()) {}
}
