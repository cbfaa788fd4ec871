//! Tests run from packages: what a user of the registry gets passes its own tests.

use std::path::Path;

use xshell::{Shell, cmd};

use super::list::{File, Package};

/// Unpacks all packages into one workspace, in which each takes the others from there, and runs
/// the unit and documentation tests. Integration tests are not in packages.
pub(super) fn test(
    sh: &Shell,
    packages: &[Package],
    files: &[File],
    dir: &Path,
) -> anyhow::Result<()> {
    let mut members = String::new();
    let mut patches = String::new();
    for (package, File { folder, bytes }) in packages.iter().zip(files) {
        let path = dir.join(format!("{folder}.crate"));
        sh.write_file(&path, bytes)?;
        cmd!(sh, "tar --extract --gzip --file {path} --directory {dir}").run()?;
        members.push_str(&format!("    {folder:?},\n"));
        patches.push_str(&format!("{} = {{ path = {folder:?} }}\n", package.name));
    }
    let profile = "[profile.test]\nopt-level = 1\ndebug = false\n";
    sh.write_file(
        dir.join("Cargo.toml"),
        format!(
            "[workspace]\nresolver = \"3\"\nmembers = [\n{members}]\n\n\
             [patch.crates-io]\n{patches}\n{profile}"
        ),
    )?;
    // The versions that everything else was tested with.
    sh.copy_file("Cargo.lock", dir.join("Cargo.lock"))?;
    let _dir = sh.push_dir(dir);
    for tests in ["--lib", "--bins", "--doc"] {
        cmd!(sh, "cargo test --quiet --workspace --all-features {tests}")
            .env("CARGO_TARGET_DIR", dir.join("target"))
            .run()?;
    }
    Ok(())
}
