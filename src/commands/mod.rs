//! The command line, and its subcommands: one file each, with its arguments and its
//! implementation.

mod bench;
mod build;
mod completions;
mod diff;
mod dump;
mod extract;
mod global;
mod inspect;
mod man;
mod pack;
mod verify;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::{Outcome, Result};
use crate::text::shell::quote;
use crate::text::terminal;

const EXAMPLES: &str = "\
Examples:
  wasm-meminit inspect app.wasm               Show the initial contents of its memories
  wasm-meminit build app.wasm -o app.meminit  Write them to an artifact that can be mapped
  wasm-meminit verify app.wasm app.meminit    Check every byte of the artifact
  wasm-meminit pack app.wasm -o small.wasm    Write the same program as a smaller download
  wasm-meminit bench app.wasm                 Measure starts and resets on this machine
  wasm-meminit dump app.wasm 0x400            Show the bytes at an address
  wasm-meminit diff old.wasm new.wasm         Show what a new build changes

Exit codes:
  0  success
  1  verify or diff found a difference, or inspect --require a violation
  2  bad usage, or a file that cannot be read or written";

/// Show what a WebAssembly module writes into its linear memories at start, build images of
/// the result, and verify those images.
#[derive(Debug, Parser)]
#[command(name = "wasm-meminit", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: global::GlobalArgs,

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
    Dump(dump::DumpArgs),
    Extract(extract::ExtractArgs),
    Diff(diff::DiffArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// Parses the command line and runs the tool.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    // Before anything is parsed: messages about the command line have colours too.
    global::Color::of(&args).apply();
    let matches = Cli::command().try_get_matches_from(args);
    match matches.and_then(|it| Cli::from_arg_matches(&it)) {
        Ok(cli) => {
            if cli.global.quiet {
                terminal::be_quiet();
            }
            terminal::exit_code(cli.run())
        }
        Err(mut err) if err.use_stderr() => {
            suggest_inspect(&mut err);
            // If stderr fails too, there is nowhere to report it.
            let _ = err.print();
            ExitCode::from(2)
        }
        // Help and version: output that can fail like any other.
        Err(err) => {
            let text = err.render().ansi().to_string();
            terminal::exit_code(terminal::show(&text).map(|()| Outcome::Fine))
        }
    }
}

/// A file in place of a subcommand: `inspect` is what was meant.
fn suggest_inspect(err: &mut clap::Error) {
    let Some(ContextValue::String(word)) = err.get(ContextKind::InvalidSubcommand) else {
        return;
    };
    let extension = Path::new(word).extension();
    let extensions = ["wasm", "wat", "meminit"];
    if extension.is_some_and(|it| extensions.iter().any(|known| it == *known)) {
        let file = quote(word).unwrap_or_else(|| String::from("FILE"));
        let tip = StyledStr::from(format!("to see what it holds: wasm-meminit inspect {file}"));
        err.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
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
            Command::Dump(args) => dump::run(args),
            Command::Extract(args) => extract::run(args),
            Command::Diff(args) => diff::run(args),
            Command::Completions(args) => completions::run(args),
            Command::Man(args) => man::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }
}
