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
mod strip;
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
#[command(name = "wasm-meminit", bin_name = "wasm-meminit")] // not `wasm-meminit.exe`
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: global::GlobalArgs,

    #[command(subcommand)]
    command: Command,
}

// What each says about itself is here, since its arguments are defined only when it is the one
// that runs: all of them together take longer than the analysis of a small module.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Show the initial contents of each memory, and why some of it is not in an image
    ///
    /// For an artifact, shows what it holds and what it assumes about the host. For several files
    /// or a folder, shows one row for each file.
    Inspect(inspect::InspectArgs),
    /// Build an artifact: images of the memories, and the segments that must still be replayed
    Build(build::BuildArgs),
    /// Rewrite the data segments of a module for size, compression or a cheaper start
    ///
    /// The program stays the same. Zeros are left out and neighbouring segments joined where the
    /// objective gains from it. If it gains nothing, the module is written unchanged. In a
    /// component, every core module is packed.
    Pack(pack::PackArgs),
    /// Replay a module and compare every byte of its memories with an artifact
    ///
    /// Compares the image before any segment is replayed, the memories after the replay and, if
    /// the image replaces the work of a start function, the memories after that function. The
    /// artifact records its assumptions about the host; values given as options are compared with
    /// them. The exit code is 0 if nothing differs. Otherwise it is 1, and stderr names the first
    /// difference. An artifact built from another module is a difference, even if every byte
    /// matches. A module written by build --strip is recognised by its hash, but only the module
    /// that it was made from can be compared. A bundle is compared with all core modules of its
    /// component.
    Verify(verify::VerifyArgs),
    /// Measure starts and resets of a module's memories on this machine
    ///
    /// A start initialises a fresh memory: by replaying the segments, by copying the image, or by
    /// mapping it. A reset returns a used memory to its initial contents; each row is a use that
    /// writes to the given number of pages, spread as far apart as possible. The methods take
    /// turns. The report gives medians, which mean little on another machine, their spread, ratios,
    /// and a verdict in words; it claims a difference only where medians and ratios agree.
    Bench(bench::BenchArgs),
    /// Show the initial bytes of a memory in hexadecimal and as text, and where they come from
    ///
    /// The memory is shown as it is before any segment is replayed: the image, and zeros around
    /// it. Bytes that are not known ahead of time are shown as ??: those that a replayed segment
    /// writes, and those of a memory that the host supplies. After the bytes, each range is listed
    /// with the segment that it comes from.
    Dump(dump::DumpArgs),
    /// Write the image of one memory as a plain file, in which every offset is an address
    ///
    /// The file begins at address 0 and ends with the image, or with the memory if that ends
    /// first. It has no header. Where the image has no run, the file has zeros, as a hole if the
    /// file system supports holes. Segments that are still to be replayed are not in the file.
    Extract(extract::ExtractArgs),
    /// Compare the memories of two modules or artifacts: what moved, grew, or is no longer static
    ///
    /// Images are compared page by page. Segments match if they have the same name, the same
    /// contents or the same address; an artifact lists only those that it replays. The options
    /// for modules apply to both files. Without them, a module that is compared with an artifact
    /// is planned as the artifact records.
    Diff(diff::DiffArgs),
    /// Print the script with which a shell completes commands and options
    Completions(completions::CompletionsArgs),
    /// Print the manual page of the tool or of one of its commands, in roff
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
