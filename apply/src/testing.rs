//! For tests of this project: no promises.

pub use crate::sys::fault::*;
