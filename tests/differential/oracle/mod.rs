//! What is right: an engine that we did not write, and where that cannot run a
//! module, a replay that follows the specification word by word.

mod engine;
mod naive;
mod rewrite;

pub(crate) use self::engine::instantiate;
pub(crate) use self::naive::{replay, replayed_segments};
