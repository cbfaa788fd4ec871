//! The README's first command: inspects a module, builds its artifact, verifies it.

use xshell::{Shell, cmd};

use crate::step::{Outcome, passed};

const MODULE: &str = "tests/modules/tour.wasm";

/// Of the given module, or of the one that was made for this.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    tour(sh, args.first().map_or(MODULE, String::as_str))
}

/// What a newcomer types first never fails.
pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    tour(sh, MODULE)?;
    passed()
}

fn tour(sh: &Shell, module: &str) -> anyhow::Result<()> {
    let artifact = "target/tour.meminit";
    // The profile of the tests, whose dependencies are built already, or will be.
    let run = ["run", "--quiet", "--package", "wasm-meminit", "--"];
    cmd!(sh, "cargo {run...} inspect {module}").run()?;
    cmd!(sh, "cargo {run...} build {module} -o {artifact}").run()?;
    cmd!(sh, "cargo {run...} verify {module} {artifact}").run()?;
    Ok(())
}
