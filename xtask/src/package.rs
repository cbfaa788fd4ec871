//! Builds the published crates as crates.io would receive them.

use std::time::{SystemTime, UNIX_EPOCH};

use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::{self, Outcome, PUBLISHED};

pub(crate) fn task(sh: &Shell, _args: &[String]) -> anyhow::Result<()> {
    step::alone(sh, with_tool)
}

/// Builds each library from its package alone, which fails if `include` lacks a file. They are
/// packaged together, because none is on crates.io before the crate it depends on.
pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let libraries: Vec<&str> = PUBLISHED.iter().copied().filter(|it| *it != TOOL).collect();
    package(sh, &libraries)
}

/// The same with the tool, whose dependencies take longer than all libraries.
pub(crate) fn with_tool(sh: &Shell) -> anyhow::Result<Outcome> {
    package(sh, PUBLISHED)
}

const TOOL: &str = "wasm-meminit";

/// The target directory is always new: cargo unpacks dependencies into its home, under a name
/// derived from that directory, and does not unpack them again if their text changed but their
/// version did not.
fn package(sh: &Shell, names: &[&str]) -> anyhow::Result<Outcome> {
    let packages = names.iter().flat_map(|name| ["--package", *name]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let target = metadata::target_directory(sh)?.join(format!("package-{now}"));
    let packaged = cmd!(
        sh,
        "cargo package --allow-dirty --target-dir {target} {packages...}"
    )
    .run();
    sh.remove_path(&target)?;
    packaged?;
    Ok(Outcome::Passed(names.join(", ")))
}
