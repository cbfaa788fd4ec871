//! The project's own build commands: `cargo xtask <task>`.
//!
//! CI runs `cargo xtask ci` and nothing else: green here is green there.

mod bench;
mod check;
mod ci;
mod corpus;
mod cross;
mod cures;
mod doc;
mod examples;
mod features;
mod fuzz;
mod metadata;
mod miri;
mod modules;
mod no_std;
mod package;
mod paths;
mod peers;
mod step;
mod test;
mod tidy;
mod tour;

use std::path::PathBuf;
use std::process::ExitCode;

use xshell::Shell;

/// A name, one line of help, and what it does with the arguments after the name.
type Task = (
    &'static str,
    &'static str,
    fn(&Shell, &[String]) -> anyhow::Result<()>,
);

const TASKS: &[Task] = &[
    (
        "tour",
        "what the tool shows of one module, and an artifact of it, verified [FILE]",
        tour::task,
    ),
    (
        "ci",
        "everything a change must pass, cheapest first [--list | --only A,B | --from A]",
        ci::run,
    ),
    (
        "tidy",
        "the rules no compiler knows: headers, file lengths, where `unsafe` may be",
        tidy::task,
    ),
    (
        "no-std",
        "the first two crates on a target without `std`",
        no_std::task,
    ),
    (
        "miri",
        "the portable paths under Miri [TEST NAME FILTERS]",
        miri::task,
    ),
    (
        "cures",
        "takes out what keeps memories apart, and expects tests to fail [WORDS OF tests/cures.toml]",
        cures::task,
    ),
    (
        "package",
        "the three published crates as crates.io would receive them",
        package::task,
    ),
    (
        "modules",
        "compiles tests/modules/*.wat to .wasm",
        modules::task,
    ),
    (
        "bench",
        "measures; needs a quiet machine [ARGS FOR cargo bench]",
        bench::task,
    ),
    (
        "fuzz",
        "runs one fuzz target: TARGET [SECONDS] [SEED]; without one lists them",
        fuzz::task,
    ),
    (
        "corpus",
        "fetches modules that people publish to tests/corpus [FILES OF tests/corpus.toml]",
        corpus::task,
    ),
    (
        "peers",
        "engines that exist, on our memory and beside us: test|bench|check [ARGS]",
        peers::task,
    ),
];

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> anyhow::Result<()> {
    let Some((name, rest)) = args.split_first() else {
        print!("{}", help());
        return Ok(());
    };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print!("{}", help());
        return Ok(());
    }
    let Some((_, _, task)) = TASKS.iter().find(|(known, ..)| known == name) else {
        anyhow::bail!("no task `{name}`\n\n{}", help());
    };
    let sh = Shell::new()?;
    sh.change_dir(root());
    task(&sh, rest)
}

fn help() -> String {
    let lines: String = TASKS
        .iter()
        .map(|(name, help, _)| format!("    {name:<10}{help}\n"))
        .collect();
    format!("usage: cargo xtask <task>\n\n{lines}")
}

/// The workspace root, wherever the task was called from.
fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask
        .parent()
        .expect("xtask is a folder of the workspace")
        .to_path_buf()
}
