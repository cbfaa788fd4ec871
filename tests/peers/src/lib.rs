//! Engines that exist, started from our memory, and measured beside us.
//!
//! Not a default member: the engines take minutes to compile. `cargo xtask peers test`
//! runs the tests.
//!
//! A [`Program`] is a real module and what is done with it; a [`Prepared`] one has its
//! data in an image and none in the module. An [`Engine`] starts either.

extern crate alloc;

mod corpus;
pub mod engine;
mod guest;
mod host;
mod memory;
mod prepared;
mod program;

pub use self::corpus::{Corpus, core_module, corpus};
pub use self::engine::{ENGINES, Engine, ImageStarts, Start};
pub use self::guest::{Bytes, Guest, Slice, Value};
pub use self::host::Host;
pub use self::prepared::Prepared;
pub use self::program::{PROGRAMS, Program};
