//! The three published crates, as crates.io would receive them.

use std::time::{SystemTime, UNIX_EPOCH};

use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::{self, LIBRARIES, Outcome};

pub(crate) fn task(sh: &Shell, _args: &[String]) -> anyhow::Result<()> {
    step::alone(sh, step)
}

/// Builds each from its package alone: a file that `include` forgets is missed
/// here. They are packaged together, since none of them is on crates.io before
/// the one it depends on.
///
/// The target directory is a new one: cargo unpacks the packages that the later
/// ones depend on into its home, under a name made from that directory, and does
/// not unpack them again when their text has changed and their version has not.
pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let packages = LIBRARIES.iter().flat_map(|krate| ["--package", *krate]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let target = metadata::target_directory(sh)?.join(format!("package-{now}"));
    let packaged = cmd!(
        sh,
        "cargo package --allow-dirty --target-dir {target} {packages...}"
    )
    .run();
    sh.remove_path(&target)?;
    packaged?;
    Ok(Outcome::Passed(LIBRARIES.join(", ")))
}
