//! The oracles: an independent engine and, if it cannot run a module, a replay that follows
//! the specification literally.

mod engine;
mod naive;
mod rewrite;

pub use self::engine::{Refused, instantiate};
pub use self::naive::{replay, replayed_segments};
