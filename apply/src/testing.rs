//! For tests and benches of this project: no promises.

#[cfg(feature = "floor")]
pub use crate::sys::Floor;
#[cfg(feature = "fault-injection")]
pub use crate::sys::fault::*;
