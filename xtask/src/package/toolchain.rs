//! The oldest compiler that the packages promise to build with.

use anyhow::Context;
use xshell::{Shell, cmd};

use super::list::Package;
use crate::installed::has;

pub(super) fn check(sh: &Shell, packages: &[Package]) -> anyhow::Result<String> {
    let Some(first) = packages.first() else {
        return Ok("no package".to_owned());
    };
    let version = first.json["rust_version"]
        .as_str()
        .context("no rust-version")?;
    // rustup knows it by the name that it was installed with.
    let toolchains = [format!("+{version}"), format!("+{version}.0")];
    let Some(oldest) = toolchains.into_iter().find(|it| has(sh, &["cargo", it])) else {
        return Ok(format!("skipped: toolchain {version} is not installed"));
    };
    let names = packages
        .iter()
        .flat_map(|it| ["--package", it.name.as_str()]);
    cmd!(sh, "cargo {oldest} check --quiet {names...}").run()?;
    Ok(format!("{version}, {} packages", packages.len()))
}
