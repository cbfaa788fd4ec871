//! Runs existing engines on our memory, and compares with them.
//!
//! Not a default member: the engines take minutes to compile. `cargo xtask compare test` runs
//! the tests.
//!
//! A [`Program`] is a real module and a driver that runs it; a [`Prepared`] module has its data
//! in an image instead of in the module. An [`Engine`] starts either.

extern crate alloc;

mod corpus;
pub mod engine;
mod guest;
mod host;
mod memory;
mod prepared;
mod program;
pub mod spec;

pub use self::corpus::{Corpus, core_module, corpus};
pub use self::engine::{ENGINES, Engine, ImageStarts, Start};
pub use self::guest::{Bytes, Guest, Slice, Value};
pub use self::host::{Go, Host};
pub use self::prepared::Prepared;
pub use self::program::{PROGRAMS, Program, REQUESTS};
