//! The command line, and its subcommands: one file each, with its arguments and its
//! implementation.

mod bench;
mod build;
mod bundle;
mod inspect;
mod pack;
mod verify;

use clap::{Parser, Subcommand};

use crate::error::{Outcome, Result};

const EXAMPLES: &str = "\
Examples:
  wasm-meminit inspect app.wasm               Show the initial contents of its memories
  wasm-meminit build app.wasm -o app.meminit  Write them to an artifact that can be mapped
  wasm-meminit verify app.wasm app.meminit    Check every byte of the artifact
  wasm-meminit pack app.wasm -o small.wasm    Write the same program as a smaller download
  wasm-meminit bench app.wasm                 Measure starts and resets on this machine

Exit codes:
  0  success
  1  verify found a difference, or inspect --require a violation
  2  bad usage, or a file that cannot be read or written";

/// Show what a WebAssembly module writes into its linear memories at start, build images of
/// the result, and verify those images.
#[derive(Debug, Parser)]
#[command(name = "wasm-meminit", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::InspectArgs),
    Build(build::BuildArgs),
    Pack(pack::PackArgs),
    Verify(verify::VerifyArgs),
    Bench(bench::BenchArgs),
}

impl Cli {
    /// Runs the selected subcommand.
    pub(crate) fn run(&self) -> Result<Outcome> {
        match &self.command {
            Command::Inspect(args) => inspect::run(args),
            Command::Build(args) => build::run(args),
            Command::Pack(args) => pack::run(args),
            Command::Bench(args) => bench::run(args),
            Command::Verify(args) => verify::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }
}
