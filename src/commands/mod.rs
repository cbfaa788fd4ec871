//! The subcommands, one file each: its arguments and its implementation.

pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod inspect;
pub(crate) mod pack;
pub(crate) mod verify;

use crate::cli::{Cli, Command};
use crate::error::{Outcome, Result};

/// Runs the selected subcommand.
pub(crate) fn run(cli: &Cli) -> Result<Outcome> {
    match &cli.command {
        Command::Inspect(args) => inspect::run(args),
        Command::Build(args) => build::run(args),
        Command::Pack(args) => pack::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Verify(args) => verify::run(args),
    }
}
