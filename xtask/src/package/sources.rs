//! What is built from a package is in it.

use std::collections::HashSet;

use anyhow::ensure;
use xshell::{Shell, cmd};

use super::list::Package;

/// Checks that each package has all files that its folder `src` has in the repository. Returns how
/// many those are.
pub(super) fn check(sh: &Shell, packages: &[Package]) -> anyhow::Result<usize> {
    let mut n_files = 0;
    for Package { name, dir, .. } in packages {
        let _dir = sh.push_dir(dir);
        let packed = cmd!(sh, "cargo package --list --allow-dirty --package {name}")
            .quiet()
            .read()?;
        // On some systems with backslashes.
        let packed: HashSet<String> = packed.lines().map(|it| it.replace('\\', "/")).collect();
        let sources = cmd!(sh, "git ls-files src").quiet().read()?;
        let missing: Vec<&str> = sources.lines().filter(|it| !packed.contains(*it)).collect();
        ensure!(
            missing.is_empty(),
            "`include` in Cargo.toml of {name} lacks {}",
            missing.join(", ")
        );
        ensure!(!sources.is_empty(), "{name} has no source files");
        n_files += sources.lines().count();
    }
    Ok(n_files)
}
