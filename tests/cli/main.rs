//! End-to-end tests of the tool: command lines, output and exit codes.

extern crate alloc;

mod bad_input;
mod bench;
mod components;
mod contract;
mod diff;
mod diff_start;
mod dump;
mod extract;
#[cfg(target_os = "linux")]
mod files;
mod findings;
mod foreign;
mod golden;
mod headline;
mod hints;
mod html;
mod inspect_artifact;
mod known_hosts;
#[cfg(target_os = "linux")]
mod linux;
mod many;
mod outputs;
mod proportion;
mod real_modules;
mod rewrite;
mod round_trip;
mod schema;
mod segments;
mod shell;
#[cfg(unix)]
mod signals;
mod svg;
mod threads;
mod tool;
mod verify;
