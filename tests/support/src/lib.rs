//! Shared by the tests and benches of this workspace; never published.
//!
//! [`initial_contents`] creates images of every kind, [`process`] runs a part of a test in a fresh
//! process, [`report`] reads what the kernel reports about this one, [`skips`] says what this machine cannot
//! test, and [`probe`] and [`floor`] make Linux system calls that no user of the libraries
//! needs. All `unsafe` code is in `sys/`.

extern crate alloc;

pub mod images;
pub mod initial_contents;
pub mod numbers;
pub mod process;
pub mod report;
#[cfg(target_os = "linux")]
mod sealed;
pub mod skips;
mod sys;

pub use crate::sys::{allocator, floor, map};
#[cfg(target_os = "linux")]
pub use crate::sys::{descriptors, fork, probe};
