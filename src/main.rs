//! `wasm-meminit`: shows, builds and verifies the initial contents of a WebAssembly
//! module's linear memories.
//!
//! [`commands`] has the command line and the subcommands. They read [`input`], show a
//! [`report`], and write an [`output`].

#![forbid(unsafe_code)]

extern crate alloc;

mod bench;
mod commands;
mod contents;
mod diff;
mod error;
mod input;
mod output;
mod progress;
mod report;
mod text;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main(std::env::args_os())
}
