//! Which packages are published, in which order, and their files.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::Target;
use crate::metadata;

/// A package of the workspace that is published.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) dir: PathBuf,
    /// What `cargo metadata` says.
    pub(crate) json: Value,
}

/// A `.crate` file.
#[derive(Debug)]
pub(crate) struct File {
    /// The folder that everything in it is in.
    pub(crate) folder: String,
    pub(crate) bytes: Vec<u8>,
}

/// Returns all published packages, each after those that it depends on.
pub(crate) fn published(sh: &Shell) -> anyhow::Result<Vec<Package>> {
    let json = metadata::workspace(sh)?;
    let mut left: Vec<Package> = metadata::published(&json)?
        .map(package)
        .collect::<anyhow::Result<_>>()?;
    let mut sorted: Vec<Package> = Vec::new();
    while !left.is_empty() {
        let is_ready = |it: &Package| {
            let names = left.iter().filter(|other| other.name != it.name);
            names
                .map(|other| &other.name)
                .all(|name| !depends_on(it, name))
        };
        let (ready, waiting): (Vec<_>, Vec<_>) = left.iter().cloned().partition(is_ready);
        ensure!(
            !ready.is_empty(),
            "the published packages depend on each other in a circle"
        );
        sorted.extend(ready);
        left = waiting;
    }
    Ok(sorted)
}

/// Whether a published `it` depends on `name`. A package does not contain dependencies of tests
/// that have no version.
fn depends_on(it: &Package, name: &str) -> bool {
    let dependencies = it.json["dependencies"].as_array();
    dependencies.into_iter().flatten().any(|dependency| {
        dependency["name"] == *name && (dependency["kind"].is_null() || dependency["req"] != "*")
    })
}

fn package(json: &Value) -> anyhow::Result<Package> {
    let text = |key: &str| {
        json[key]
            .as_str()
            .with_context(|| format!("a package without {key}"))
    };
    let manifest = PathBuf::from(text("manifest_path")?);
    Ok(Package {
        name: text("name")?.to_owned(),
        version: text("version")?.to_owned(),
        dir: manifest
            .parent()
            .context("a manifest without a folder")?
            .to_owned(),
        json: json.clone(),
    })
}

/// Packs without building, and returns the file of each package.
pub(crate) fn pack(sh: &Shell, packages: &[Package], target: &Target) -> anyhow::Result<Vec<File>> {
    let target = &target.path;
    let names = packages
        .iter()
        .flat_map(|it| ["--package", it.name.as_str()]);
    cmd!(
        sh,
        "cargo package --quiet --no-verify --allow-dirty --target-dir {target} {names...}"
    )
    .run()?;
    let file = |it: &Package| {
        let folder = format!("{}-{}", it.name, it.version);
        let path = target.join("package").join(format!("{folder}.crate"));
        let bytes = sh.read_binary_file(path)?;
        Ok(File { folder, bytes })
    };
    packages.iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_comes_after_those_that_it_depends_on() {
        let sh = Shell::new().expect("a working directory");
        let names: Vec<String> = published(&sh)
            .expect("no circle")
            .into_iter()
            .map(|it| it.name)
            .collect();
        let at = |name: &str| names.iter().position(|it| it == name).expect(name);
        for pair in crate::step::PUBLISHED.windows(2) {
            assert!(at(pair[0]) < at(pair[1]), "{names:?}");
        }
        assert!(at("wasm-meminit-apply") < at("wasm-meminit-wasmtime"));
        assert!(!names.contains(&"xtask".to_owned()));
    }
}
