//! Generated modules: from our own strategies, which concentrate on edge cases, and from
//! wasm-smith, which knows nothing about them.

mod encode;
mod smith;
mod strategy;

pub(crate) use self::smith::smith_module;
pub(crate) use self::strategy::{Spec, giants, ordinary};
