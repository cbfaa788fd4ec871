//! For this crate's own tests (feature `fault-injection`): no promises.

pub use crate::sys::fault::*;
