//! `completions`: scripts with which a shell completes command lines.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::error::{Outcome, Result};
use crate::text::terminal;

const EXAMPLES: &str = "\
Examples:
  mkdir -p ~/.local/share/bash-completion/completions
  wasm-meminit completions bash > ~/.local/share/bash-completion/completions/wasm-meminit
  wasm-meminit completions zsh > ~/.zfunc/_wasm-meminit     # ~/.zfunc is in fpath
  wasm-meminit completions fish > ~/.config/fish/completions/wasm-meminit.fish
  wasm-meminit completions powershell >> $PROFILE";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell that runs the script
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<Outcome> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let script = mended(args.shell, &String::from_utf8_lossy(&script));
    terminal::print_data(&script)?;
    Ok(Outcome::Fine)
}

/// Works around two mistakes of clap_complete 4.6. Nothing is replaced once they are mended there.
fn mended(shell: Shell, script: &str) -> String {
    match shell {
        // If a program's name has a hyphen, a subcommand is found under one name, and its options
        // are listed under another (clap's issue 6421).
        Shell::Bash => script.replace("wasm__subcmd__meminit", "wasm__meminit"),
        // A colon ends the name of a value.
        Shell::Zsh => script.replace("[MODULE:]", "[MODULE\\:]"),
        _ => script.to_owned(),
    }
}
