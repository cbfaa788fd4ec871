//! The steps that only inspect: formatting, the lock file, lints.

use xshell::{Shell, cmd};

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
    cmd!(
        sh,
        // The engines take minutes to compile: `cargo xtask compare check`.
        "cargo clippy --workspace --exclude wasm-meminit-peers --all-targets --all-features -- -D warnings"
    )
    .run()?;
    passed()
}
