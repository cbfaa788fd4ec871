//! Generated modules: from our own strategies, which concentrate on edge cases, and from
//! wasm-smith, which knows nothing about them.

mod cases;
mod encode;
mod smith;
mod strategy;

pub use self::cases::{Case, Tally, check_generated, check_inputs, n_cases};
pub use self::smith::smith_module;
pub use self::strategy::{Spec, giants, ordinary};
