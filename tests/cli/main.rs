//! The tool from end to end: what users type, what they see, with which exit code.

extern crate alloc;

mod bad_input;
mod bench;
mod contract;
mod golden;
mod hints;
mod html;
#[path = "../inputs/mod.rs"]
mod inputs;
#[cfg(target_os = "linux")]
mod linux;
mod outputs;
mod proportion;
mod rewrite;
mod round_trip;
mod threads;
mod tool;

mod verify;
