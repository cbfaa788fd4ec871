//! For this project's own tests: no stability guarantees.

pub use crate::sys::fault::*;
