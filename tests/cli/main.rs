//! End-to-end tests of the tool: command lines, output and exit codes.

extern crate alloc;

mod bad_input;
mod bench;
mod contract;
mod diff;
mod dump;
mod extract;
mod foreign;
mod golden;
mod hints;
mod html;
#[cfg(target_os = "linux")]
mod linux;
mod outputs;
mod proportion;
mod real_modules;
mod rewrite;
mod round_trip;
mod shell;
mod threads;
mod tool;

mod verify;
