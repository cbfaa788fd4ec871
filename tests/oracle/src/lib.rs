//! Inputs and oracles that several tests share: modules of our own, of the test suites and
//! from generators, and what the specification makes of them, by an engine that we did not
//! write and by a replay that is too simple to be wrong.

#![allow(
    missing_docs,
    missing_debug_implementations,
    reason = "only tests use it"
)]

extern crate alloc;

pub mod costs;
pub mod generate;
pub mod host;
pub mod inputs;
pub mod instance;
pub mod memory;
pub mod oracle;
pub mod report;
pub mod shape;
pub mod testsuite;
pub mod valid;
