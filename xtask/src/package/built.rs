//! Packages as the registry would receive them.

use anyhow::ensure;
use xshell::{Shell, cmd};

use super::Target;
use super::list::File;

/// Publishes without uploading: builds each package from its files alone, which fails if
/// `include` lacks one. They are built together, because none is on the registry before those
/// that it depends on.
pub(super) fn dry_run(sh: &Shell, names: &[&str], target: &Target) -> anyhow::Result<()> {
    let target = &target.path;
    let packages = names.iter().flat_map(|name| ["--package", *name]);
    cmd!(
        sh,
        "cargo publish --dry-run --allow-dirty --target-dir {target} {packages...}"
    )
    .run()?;
    Ok(())
}

/// Compares two packings of the same files.
pub(super) fn same(files: &[File], again: &[File]) -> anyhow::Result<String> {
    for (one, other) in files.iter().zip(again) {
        ensure!(one.name == other.name, "{} and {}", one.name, other.name);
        ensure!(
            one.bytes == other.bytes,
            "{}: two packings differ",
            one.name
        );
    }
    ensure!(files.len() == again.len(), "a package is missing");
    Ok(format!(
        "{} packages, packed twice, same bytes",
        files.len()
    ))
}
