//! Modules that nobody wrote: our own strategies, which crowd the edges, and
//! wasm-smith, which knows none of them.

mod encode;
mod smith;
mod strategy;

pub(crate) use self::smith::smith_module;
pub(crate) use self::strategy::{Spec, giants, ordinary};
