//! Builds the published crates as crates.io would receive them.

use std::time::{SystemTime, UNIX_EPOCH};

use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::{self, Outcome, PUBLISHED};

pub(crate) fn task(sh: &Shell, _args: &[String]) -> anyhow::Result<()> {
    step::alone(sh, step)
}

/// Builds each crate from its package alone, which fails if `include` lacks a file. They are
/// packaged together, because none is on crates.io before the crate it depends on.
///
/// The target directory is always new: cargo unpacks dependencies into its home, under a name
/// derived from that directory, and does not unpack them again if their text changed but their
/// version did not.
pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let packages = PUBLISHED.iter().flat_map(|krate| ["--package", *krate]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let target = metadata::target_directory(sh)?.join(format!("package-{now}"));
    let packaged = cmd!(
        sh,
        "cargo package --allow-dirty --target-dir {target} {packages...}"
    )
    .run();
    sh.remove_path(&target)?;
    packaged?;
    Ok(Outcome::Passed(PUBLISHED.join(", ")))
}
