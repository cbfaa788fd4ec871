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
    let (n, n_again) = (files.len(), again.len());
    ensure!(n == n_again, "{n} packages, then {n_again}");
    for (one, other) in files.iter().zip(again) {
        let folder = &one.folder;
        let is_same = one.folder == other.folder && one.bytes == other.bytes;
        ensure!(is_same, "{folder}: two packings differ");
    }
    Ok(format!("{n} packages, packed twice, same bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_packings_have_the_same_packages_and_bytes() {
        let pack = |files: &[(&str, u8)]| -> Vec<File> {
            let file = |&(folder, byte): &(&str, u8)| File {
                folder: folder.to_owned(),
                bytes: vec![byte],
            };
            files.iter().map(file).collect()
        };
        let two = pack(&[("a", 1), ("b", 2)]);
        assert!(same(&two, &two).is_ok());
        for other in [
            &[("a", 1)][..],
            &[],
            &[("a", 1), ("b", 2), ("c", 3)],
            &[("a", 1), ("b", 3)],
            &[("a", 1), ("c", 2)],
        ] {
            assert!(same(&two, &pack(other)).is_err(), "{other:?}");
        }
    }
}
