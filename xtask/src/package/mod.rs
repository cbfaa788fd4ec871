//! Proves that the published packages are what a user of the registry needs.

mod built;
mod list;
mod manifest;
mod sbom;
mod size;
mod sources;
mod toolchain;
mod unpacked;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::bail;
use xshell::Shell;

use crate::metadata;
use crate::step::{Outcome, PUBLISHED};

use list::Package;

const HELP: &str = "\
usage: cargo xtask package [PACKAGE...]

Proves that packages can be published, in the order of publishing; without arguments all.
";

/// Everything about all packages, or about those named. With the engines, this takes long.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    if args.iter().any(|it| it.starts_with('-') || it == "help") {
        print!("{HELP}");
        return Ok(());
    }
    let packages = list::published(sh)?;
    let packages: Vec<Package> = match args {
        [] => packages,
        names => {
            if let Some(unknown) = names
                .iter()
                .find(|it| packages.iter().all(|p| p.name != **it))
            {
                let known: Vec<&str> = packages.iter().map(|it| it.name.as_str()).collect();
                bail!(
                    "no published package `{unknown}`\n\n{HELP}Packages: {}",
                    known.join(" ")
                );
            }
            packages
                .into_iter()
                .filter(|it| args.contains(&it.name))
                .collect()
        }
    };
    let names: Vec<&str> = packages.iter().map(|it| it.name.as_str()).collect();
    println!("in the order of publishing: {}", names.join(", "));

    manifest::check(&packages)?;
    println!("manifests: description, licence, README, categories, keywords, docs.rs");
    let dir = sh.create_temp_dir()?;
    let files = list::pack(sh, &packages, &fresh_target(sh)?)?;
    let again = list::pack(sh, &packages, &fresh_target(sh)?)?;
    println!("reproducible: {}", built::same(&files, &again)?);
    print!("{}", size::table(&files));
    unpacked::test(sh, &packages, &files, dir.path())?;
    println!("tests from the packages: ok");
    built::dry_run(sh, &names, &fresh_target(sh)?)?;
    println!("dry run of publishing: ok");
    println!("oldest compiler: {}", toolchain::check(sh, &packages)?);
    if names.contains(&TOOL) {
        println!("tool: {}", size::tool(sh)?);
        println!("SBOM: {}", sbom::write(sh)?);
    }
    Ok(())
}

/// Of every change: the manifests, and that the packages have every source file.
pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let packages = list::published(sh)?;
    manifest::check(&packages)?;
    let n_files = sources::check(sh, &packages)?;
    let n = packages.len();
    Ok(Outcome::Passed(format!(
        "{n} packages with {n_files} source files"
    )))
}

/// The libraries and the tool, built from their packages alone, and the tool's size.
pub(crate) fn install(sh: &Shell) -> anyhow::Result<Outcome> {
    built::dry_run(sh, PUBLISHED, &fresh_target(sh)?)?;
    Ok(Outcome::Passed(size::tool(sh)?))
}

const TOOL: &str = "wasm-meminit";

/// A target directory that is removed at the end.
struct Target {
    path: std::path::PathBuf,
    sh: Shell,
}

impl Drop for Target {
    fn drop(&mut self) {
        // What remains is only disk space below `target`.
        let _ = self.sh.remove_path(&self.path);
    }
}

/// Returns a target directory that is always new: cargo unpacks packages into its home, under a
/// name derived from that directory, and does not unpack them again if their text changed but
/// their version did not.
fn fresh_target(sh: &Shell) -> anyhow::Result<Target> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    Ok(Target {
        path: metadata::target_directory(sh)?.join(format!("package-{now}")),
        sh: sh.clone(),
    })
}
