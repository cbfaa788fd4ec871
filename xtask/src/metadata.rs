//! Reads what cargo knows about the workspace, so that nothing need be listed twice.

use std::env::consts::EXE_EXTENSION;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;
use xshell::{Shell, cmd};

/// One default member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
    pub(crate) benches: Vec<String>,
    pub(crate) examples: Vec<String>,
    pub(crate) tests: Vec<String>,
}

/// Returns the default members of the workspace, without the engines that take minutes to compile.
pub(crate) fn packages(sh: &Shell) -> anyhow::Result<Vec<Package>> {
    let json = workspace(sh)?;
    let packages = json["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let default = json["workspace_default_members"]
        .as_array()
        .context("cargo metadata lists no default members")?;
    packages
        .iter()
        .filter(|package| default.contains(&package["id"]))
        .map(package)
        .collect()
}

/// Returns the directory in which cargo puts build artifacts.
pub(crate) fn target_directory(sh: &Shell) -> anyhow::Result<PathBuf> {
    let json = workspace(sh)?;
    let path = json["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?;
    Ok(path.into())
}

/// Returns the path of the tool that cargo builds, in the folder of a profile.
pub(crate) fn tool(sh: &Shell, folder: &str) -> anyhow::Result<PathBuf> {
    let tool = target_directory(sh)?.join(folder).join("wasm-meminit");
    Ok(tool.with_extension(EXE_EXTENSION))
}

/// Returns those packages of [`workspace`] that are published, engines included.
pub(crate) fn published(workspace: &Value) -> anyhow::Result<impl Iterator<Item = &Value>> {
    let packages = workspace["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    // An empty list of registries means that it is not published.
    let is_published = |it: &&Value| it["publish"].as_array().is_none_or(|it| !it.is_empty());
    Ok(packages.iter().filter(is_published))
}

/// Returns what cargo knows about the packages of the workspace, but not about dependencies.
pub(crate) fn workspace(sh: &Shell) -> anyhow::Result<Value> {
    let json = cmd!(sh, "cargo metadata --no-deps --format-version 1")
        .quiet()
        .read()?;
    Ok(serde_json::from_str(&json)?)
}

fn package(json: &Value) -> anyhow::Result<Package> {
    let targets = json["targets"]
        .as_array()
        .context("a package without targets")?;
    let named = |kind: &str| {
        let targets = targets.iter().filter(|target| target["kind"][0] == *kind);
        targets
            .filter_map(|target| Some(target["name"].as_str()?.to_owned()))
            .collect()
    };
    Ok(Package {
        name: json["name"]
            .as_str()
            .context("a package without a name")?
            .to_owned(),
        features: json["features"]
            .as_object()
            .map(|features| features.keys().cloned().collect())
            .unwrap_or_default(),
        benches: named("bench"),
        examples: named("example"),
        tests: named("test"),
    })
}
