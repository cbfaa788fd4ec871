//! The project's build commands: `cargo xtask <task>`.
//!
//! CI runs `cargo xtask ci` and nothing else, so what passes here passes there.

extern crate alloc;

mod api;
mod bench;
mod browser;
mod check;
mod ci;
mod compare;
mod copy;
mod corpus;
mod coverage;
mod cross;
mod dependencies;
mod doc;
mod docs;
mod engines;
mod examples;
mod features;
mod fuzz;
mod installed;
mod metadata;
mod miri;
mod models;
mod mutants;
mod no_std;
mod package;
mod paths;
mod profile;
mod revert_fixes;
mod sanitize;
mod skips;
mod step;
mod test;
mod tidy;
mod tour;

use std::path::PathBuf;
use std::process::ExitCode;

use xshell::Shell;

/// A name, one line of help, and a function that takes the arguments after the name.
type Task = (
    &'static str,
    &'static str,
    fn(&Shell, &[String]) -> anyhow::Result<()>,
);

const TASKS: &[Task] = &[
    (
        "tour",
        "inspects a module, builds its artifact and verifies it [FILE]",
        tour::task,
    ),
    (
        "ci",
        "runs everything a change must pass, cheapest first [--all | --list | --only A,B | --from A]",
        ci::run,
    ),
    (
        "tidy",
        "checks what no compiler does: headers, file lengths, where `unsafe` is allowed",
        tidy::task,
    ),
    (
        "docs",
        "checks the links of all pages, and builds the guide if mdBook is installed",
        docs::task,
    ),
    (
        "no-std",
        "checks the first two crates on a target without `std`",
        no_std::task,
    ),
    (
        "miri",
        "tests the portable paths under Miri [TEST NAME FILTERS]",
        miri::task,
    ),
    (
        "models",
        "runs the pool's threads in thousands of chosen orders [SCHEDULES]",
        models::task,
    ),
    (
        "sanitize",
        "tests the run-time crate under a sanitizer: thread|address [SUITE]...",
        sanitize::task,
    ),
    (
        "coverage",
        "measures which lines of the libraries the tests run; needs cargo-llvm-cov",
        coverage::task,
    ),
    (
        "mutants",
        "changes the libraries' code, and expects tests to fail; needs cargo-mutants [PACKAGE] [--shard K/N]",
        mutants::task,
    ),
    (
        "revert-fixes",
        "reverts past fixes one by one, and expects tests to fail [--engines] [WORDS OF A DESCRIPTION | FILE]",
        revert_fixes::task,
    ),
    (
        "package",
        "proves that the packages can be published: contents, tests, sizes, oldest compiler [PACKAGE...]",
        package::task,
    ),
    (
        "test",
        "runs one suite of tests, or all [SUITE [ARGS FOR cargo test]]",
        test::task,
    ),
    (
        "api",
        "compares the public API of the libraries with api/*.txt [--engines] [--bless]",
        api::task,
    ),
    (
        "bench",
        "runs all benches; needs an idle machine [ARGS FOR cargo bench]",
        bench::task,
    ),
    (
        "browser",
        "tests the pages of the tool in Chromium [TEST NAME FILTERS]",
        browser::task,
    ),
    (
        "fuzz",
        "runs a target under libFuzzer [TARGET|all [--time SECONDS] [--jobs N]]; lists them without arguments",
        fuzz::task,
    ),
    (
        "corpus",
        "fetches published modules to tests/corpus [FILES]",
        corpus::task,
    ),
    (
        "compare",
        "runs existing engines on our memory, and compares with them: test|bench|check [ARGS]",
        compare::task,
    ),
    (
        "engines",
        "tests the ways into engines, or measures requests: test [NAME] | bench [--quick | --write]",
        engines::task,
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
        .map(|(name, help, _)| format!("    {name:<14}{help}\n"))
        .collect();
    format!("usage: cargo xtask <task>\n\n{lines}")
}

/// Returns the workspace root, whatever the current directory is.
fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask
        .parent()
        .expect("xtask is a folder of the workspace")
        .to_path_buf()
}
