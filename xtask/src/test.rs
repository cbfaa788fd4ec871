//! Runs tests: all of them, one suite, or the libraries without debug assertions.

use std::env;
use std::path::Path;

use anyhow::bail;
use xshell::{Shell, cmd};

use crate::installed;
use crate::metadata::{self, Package};
use crate::skips::Skips;
use crate::step::{Outcome, PUBLISHED, passed};

const HELP: &str = "\
usage: cargo xtask test [SUITE [ARGS]]

Runs one suite, which is a file or folder of a tests/ directory, or one of those listed
below; without arguments all tests. ARGS go to cargo, and those after -- to the test binary.
";

/// Runs the suite with this name, in whichever package it is.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let packages = metadata::packages(sh)?;
    let Some((suite, rest)) = args.split_first() else {
        println!("{}", all(sh)?);
        return Ok(());
    };
    if matches!(suite.as_str(), "help" | "-h" | "--help") {
        print!("{HELP}\n{}", suites(&packages));
        return Ok(());
    }
    if packages.iter().all(|it| !it.tests.contains(suite)) {
        bail!("no suite `{suite}`\n\n{HELP}\n{}", suites(&packages));
    }
    // All default members, as in ci: with fewer of them, cargo would build dependencies anew
    // for the features that are left.
    cmd!(sh, "cargo test --all-features --test {suite} {rest...}").run()?;
    Ok(())
}

fn suites(packages: &[Package]) -> String {
    let packages = packages.iter().filter(|it| !it.tests.is_empty());
    packages
        .map(|it| format!("{}: {}\n", it.name, it.tests.join(" ")))
        .collect()
}

/// Every default member: unit, documentation and integration tests.
pub(crate) fn all(sh: &Shell) -> anyhow::Result<Outcome> {
    let skips = Skips::new(sh)?;
    run(sh, &["--all-features", "--tests"], &skips)?;
    cmd!(sh, "cargo test --all-features --doc").run()?;
    let note = format!("{}; {}", corpus(sh), skips.note(sh)?);
    Ok(Outcome::Passed(note))
}

/// Runs unit and integration tests. cargo-nextest keeps all processors busy, where cargo waits
/// for the slowest test of each suite.
pub(crate) fn run(sh: &Shell, args: &[&str], skips: &Skips) -> anyhow::Result<()> {
    let command: &[&str] = match installed::has(sh, &["cargo", "nextest"]) {
        true => &["nextest", "run"],
        false => &["test"],
    };
    let command = cmd!(sh, "cargo {command...} {args...}");
    skips.collect(command).run()?;
    Ok(())
}

/// Says whether the tests saw real modules.
fn corpus(sh: &Shell) -> String {
    let Some(folder) = env::var_os("WASM_MEMINIT_CORPUS") else {
        return "no corpus: WASM_MEMINIT_CORPUS is not set".to_owned();
    };
    let is_module = |it: &Path| it.extension().is_some_and(|it| it == "wasm");
    let files = sh.read_dir(&folder).unwrap_or_default();
    let n_modules = files.iter().filter(|it| is_module(it)).count();
    format!("corpus: {n_modules} files")
}

/// How many generated modules `ci --all` compares with the oracle, in each suite.
const MANY: &str = "5000";

/// Suites that generate modules, with ten times as many as in every change; the whole corpus, and
/// the specification's test suite, under every policy.
pub(crate) fn generated(sh: &Shell) -> anyhow::Result<Outcome> {
    cmd!(
        sh,
        "cargo test --all-features --test differential --test rewrite --test threads -- generated the_corpus the_test_suite"
    )
    .env("WASM_MEMINIT_CASES", MANY)
    .run()?;
    Ok(Outcome::Passed(format!(
        "{MANY} modules in each suite; {}",
        corpus(sh)
    )))
}

/// The tests that kill the tool at random moments, with more kills than in every run of the tests.
pub(crate) fn kills(sh: &Shell) -> anyhow::Result<Outcome> {
    const N_KILLS: &str = "100";
    cmd!(sh, "cargo test --all-features --test cli files::kills")
        .env("WASM_MEMINIT_KILLS", N_KILLS)
        .run()?;
    Ok(Outcome::Passed(format!("{N_KILLS} with each signal")))
}

/// What only a `debug_assert!` or an overflow check catches must not be what makes a library
/// correct. The dependencies are those of the other tests: only ours are built anew.
pub(crate) fn without_assertions(sh: &Shell) -> anyhow::Result<Outcome> {
    let settings = PUBLISHED.iter().flat_map(|krate| {
        ["debug-assertions", "overflow-checks"].map(|check| {
            [
                "--config".to_owned(),
                format!("profile.test.package.{krate}.{check}=false"),
            ]
        })
    });
    let settings = settings.flatten();
    cmd!(sh, "cargo test --all-features --lib {settings...}").run()?;
    passed()
}

/// Compares with the reference, which takes longer to compile than all other dependencies.
pub(crate) fn reference(sh: &Shell) -> anyhow::Result<Outcome> {
    cmd!(
        sh,
        "cargo clippy --package wasm-meminit-reference --all-targets -- -D warnings"
    )
    .run()?;
    cmd!(
        sh,
        "cargo test --package wasm-meminit-reference --all-targets"
    )
    .run()?;
    Ok(Outcome::Passed(corpus(sh)))
}
