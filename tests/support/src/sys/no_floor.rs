//! On this system there is no lower bound to compare with.

/// Never created.
#[derive(Debug)]
pub enum Floor {}

impl Floor {
    /// Returns `None`.
    pub const fn new(_image: &[u8], _len: usize) -> Option<Self> {
        None
    }

    /// Never called.
    pub const fn bytes(&mut self) -> &mut [u8] {
        match *self {}
    }

    /// Never called.
    pub const fn close_from(&mut self, _end: usize) {
        match *self {}
    }

    /// Never called.
    pub const fn open_to(&mut self, _end: usize) {
        match *self {}
    }

    /// Never called.
    pub const fn scan_and_copy(&mut self) {
        match *self {}
    }

    /// Never called.
    pub const fn drop_all(&mut self) {
        match *self {}
    }

    /// Never called.
    pub const fn drop_together(_floors: &mut [Self]) -> bool {
        false
    }
}
