//! Generated modules: from our own strategies, which concentrate on edge cases, and from
//! wasm-smith, which knows nothing about them.

mod cases;
mod encode;
mod smith;
mod strategy;

pub use self::cases::{Case, Tally, are_cases_set, check_generated, check_inputs, n_cases};
pub use self::smith::{smith_module, smith_module_from};
pub use self::strategy::{
    Addr, Anchor, Bytes, DataSpec, ElementOffset, ElementSpec, Form, GlobalInit, GlobalSpec,
    MemorySpec, Spec, Target, giants, ordinary,
};
