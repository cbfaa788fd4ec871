//! The steps that only inspect: formatting, the lock file, lints.

use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::installed::has;
use crate::step::{Outcome, passed};

pub(crate) fn fmt(sh: &Shell) -> anyhow::Result<Outcome> {
    cmd!(sh, "cargo fmt --all --check").run()?;
    passed()
}

/// Ensures that a fresh clone builds with the tested versions, or not at all.
pub(crate) fn lock(sh: &Shell) -> anyhow::Result<Outcome> {
    cmd!(sh, "cargo metadata --locked --format-version 1")
        .ignore_stdout()
        .run()?;
    passed()
}

pub(crate) fn clippy(sh: &Shell) -> anyhow::Result<Outcome> {
    // These take minutes to compile: `cargo xtask engines check`, `cargo xtask compare check`.
    let engines = [
        "c",
        "wasmer",
        "wasmi",
        "wasmtime",
        "peers",
        "public-api",
        "reference",
    ];
    let excluded = engines.map(|it| format!("--exclude=wasm-meminit-{it}"));
    cmd!(
        sh,
        "cargo clippy --workspace {excluded...} --all-targets --all-features -- -D warnings"
    )
    .run()?;
    passed()
}

/// Asks cargo-deny, where it is installed; `deny.toml` has the rules. Without `--workspace`, it
/// would see the dependencies of the root package alone.
pub(crate) fn deny(sh: &Shell) -> anyhow::Result<Outcome> {
    if !has(sh, &["cargo", "deny"]) {
        return Ok(Outcome::Skipped("cargo-deny is not installed".to_owned()));
    }
    cmd!(
        sh,
        "cargo deny --workspace --all-features check bans licenses sources"
    )
    .run()?;
    // Fetching advisories needs the network, and they change without a change of ours.
    if !has_advisories() {
        let note = "without advisories: `cargo deny fetch db` fetches them";
        return Ok(Outcome::Passed(note.to_owned()));
    }
    cmd!(
        sh,
        "cargo deny --offline --workspace --all-features check advisories"
    )
    .run()?;
    Ok(Outcome::Passed("with advisories".to_owned()))
}

/// Whether cargo-deny has fetched a database.
fn has_advisories() -> bool {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let databases = home.and_then(|home| std::fs::read_dir(home.join("advisory-dbs")).ok());
    // Besides a lock file.
    databases.is_some_and(|it| it.flatten().any(|it| it.path().is_dir()))
}
