//! Builds the libraries' documentation as docs.rs does.

use xshell::{Shell, cmd};

use crate::step::{Outcome, PUBLISHED, passed};

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let packages = PUBLISHED.iter().flat_map(|krate| ["--package", *krate]);
    cmd!(sh, "cargo doc --no-deps --all-features {packages...}")
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    passed()
}
