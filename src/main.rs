//! `wasm-meminit`: shows, builds and verifies the initial contents of a WebAssembly
//! module's linear memories.
//!
//! This file only connects the parts: [`cli`] parses the arguments, each file of
//! [`commands`] is one subcommand, and [`error`] turns the result into an exit code and a
//! message.

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

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    output::Guard::install();
    error::exit_code(commands::run(&cli::Cli::parse()))
}
