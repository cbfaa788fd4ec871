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

/// Compares two packings of the same packages.
pub(super) fn same(files: &[File], again: &[File]) -> anyhow::Result<String> {
    for (one, other) in files.iter().zip(again) {
        let folder = &one.folder;
        ensure!(one.bytes == other.bytes, "{folder}: two packings differ");
    }
    Ok(format!(
        "{} packages, packed twice, same bytes",
        files.len()
    ))
}
