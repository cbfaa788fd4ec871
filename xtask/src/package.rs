//! The three published crates, as crates.io would receive them.

use xshell::{Shell, cmd};

use crate::step::{self, LIBRARIES, Outcome};

pub(crate) fn task(sh: &Shell, _args: &[String]) -> anyhow::Result<()> {
    step::alone(sh, step)
}

/// Builds each from its package alone: a file that `include` forgets is missed
/// here. They are packaged together, since none of them is on crates.io before
/// the one it depends on.
pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let packages = LIBRARIES.iter().flat_map(|krate| ["--package", *krate]);
    cmd!(sh, "cargo package --allow-dirty {packages...}").run()?;
    Ok(Outcome::Passed(LIBRARIES.join(", ")))
}
