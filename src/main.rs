//! `wasm-meminit`: what a WebAssembly module's linear memories hold at the start,
//! and images of them.
//!
//! This file only connects: [`cli`] reads the arguments, each file of [`commands`]
//! is one subcommand, and [`error`] says with which code and words all of it ends.

#![forbid(unsafe_code)]

extern crate alloc;

mod bench;
mod cli;
mod commands;
mod error;
mod globals;
mod hash;
mod hint;
mod html;
mod import;
mod input;
mod json;
mod map;
mod memories;
mod modules;
mod object;
mod output;
mod printable;
mod progress;
mod reasons;
mod report;
mod shell;
mod start;
mod survey;
mod terminal;
mod units;
mod verify;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    output::Guard::install();
    error::exit_code(commands::run(&cli::Cli::parse()))
}
