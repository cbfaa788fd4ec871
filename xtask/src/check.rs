//! The steps that only look: formatting, the lock file, lints.

use xshell::{Shell, cmd};

use crate::step::{Outcome, passed};

pub(crate) fn fmt(sh: &Shell) -> anyhow::Result<Outcome> {
    cmd!(sh, "cargo fmt --all --check").run()?;
    passed()
}

/// A fresh clone builds with the versions that were tested, or not at all.
pub(crate) fn lock(sh: &Shell) -> anyhow::Result<Outcome> {
    cmd!(sh, "cargo metadata --locked --format-version 1")
        .ignore_stdout()
        .run()?;
    passed()
}

/// Without the peers: their engines take longer to build than all the rest.
pub(crate) fn clippy(sh: &Shell) -> anyhow::Result<Outcome> {
    cmd!(
        sh,
        "cargo clippy --workspace --exclude wasm-meminit-peers --all-targets --all-features -- -D warnings"
    )
    .run()?;
    Ok(Outcome::Passed(
        "tests/peers has its own: `cargo xtask peers check`".to_owned(),
    ))
}
