//! `man`: the manual pages, for packages.

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::Cli;
use crate::error::{Error, Outcome, Result};
use crate::text::terminal;

const EXAMPLES: &str = "\
Examples:
  wasm-meminit man > wasm-meminit.1
  wasm-meminit man build > wasm-meminit-build.1
  wasm-meminit man build | man -l -";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ManArgs {
    /// The command. Default: the tool itself, with the list of its commands
    command: Option<String>,
}

pub(super) fn run(args: &ManArgs) -> Result<Outcome> {
    let mut tool = Cli::command().disable_help_subcommand(true);
    // Gives subcommands the global options, and their full names.
    tool.build();
    let command = match &args.command {
        None => tool,
        Some(name) => {
            let command = tool.find_subcommand(name).cloned();
            let command = command.ok_or_else(|| {
                let names: Vec<_> = tool.get_subcommands().map(Command::get_name).collect();
                Error::usage(format_args!("there is no command {name:?}"))
                    .with_hint(format_args!("available: {}", names.join(", ")))
            })?;
            command.version(env!("CARGO_PKG_VERSION"))
        }
    };
    let mut page = Vec::new();
    // Writing to a `Vec` never fails.
    let _ = Man::new(command).source(SOURCE).render(&mut page);
    terminal::print_data(&examples(&String::from_utf8_lossy(&page)))?;
    Ok(Outcome::Fine)
}

/// The foot of each page.
const SOURCE: &str = concat!("wasm-meminit ", env!("CARGO_PKG_VERSION"));

/// Gives the text that follows the options its own section, in which lines are not filled.
fn examples(page: &str) -> String {
    let Some((before, after)) = page.split_once("\n.SH EXTRA\nExamples:\n") else {
        return page.to_owned();
    };
    let (examples, rest) = after.split_once("\n.SH ").unwrap_or((after, "VERSION"));
    format!("{before}\n.SH EXAMPLES\n.nf\n{examples}\n.fi\n.SH {rest}")
}
