//! A list of everything that the tool contains: its software bill of materials.

use xshell::{Shell, cmd};

use super::TOOL;
use crate::installed::has;
use crate::metadata;

/// Writes it as CycloneDX JSON, where cargo-cyclonedx is installed.
pub(super) fn write(sh: &Shell) -> anyhow::Result<String> {
    if !has(sh, &["cargo", "cyclonedx"]) {
        return Ok("skipped: install it with `cargo install cargo-cyclonedx`".to_owned());
    }
    // It writes next to each Cargo.toml of the workspace, whatever it is asked for.
    let file = format!("{TOOL}.cdx");
    cmd!(
        sh,
        "cargo cyclonedx --quiet --format json --all --override-filename {file}"
    )
    .run()?;
    let target = metadata::target_directory(sh)?.join(format!("{file}.json"));
    sh.copy_file(format!("{file}.json"), &target)?;
    for path in cmd!(sh, "git ls-files --others **/{file}.json {file}.json")
        .quiet()
        .read()?
        .lines()
    {
        sh.remove_path(path)?;
    }
    Ok(target.display().to_string())
}
