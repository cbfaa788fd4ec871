//! Tests of rewriting: the objectives of `pack`, and rejected inputs.

mod generated;
mod objectives;
mod rejected;
