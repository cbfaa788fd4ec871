//! What cargo knows about the workspace, so that nothing is listed twice.

use anyhow::Context;
use serde_json::Value;
use xshell::{Shell, cmd};

/// One member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
    pub(crate) benches: Vec<String>,
}

/// Every member of the workspace.
pub(crate) fn packages(sh: &Shell) -> anyhow::Result<Vec<Package>> {
    let json = cmd!(sh, "cargo metadata --no-deps --format-version 1")
        .quiet()
        .read()?;
    let json: Value = serde_json::from_str(&json)?;
    let packages = json["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    packages.iter().map(package).collect()
}

fn package(json: &Value) -> anyhow::Result<Package> {
    let targets = json["targets"]
        .as_array()
        .context("a package without targets")?;
    let is_bench = |target: &&Value| target["kind"][0] == "bench";
    Ok(Package {
        name: json["name"]
            .as_str()
            .context("a package without a name")?
            .to_owned(),
        features: json["features"]
            .as_object()
            .map(|features| features.keys().cloned().collect())
            .unwrap_or_default(),
        benches: targets
            .iter()
            .filter(is_bench)
            .filter_map(|target| Some(target["name"].as_str()?.to_owned()))
            .collect(),
    })
}
