//! Boundaries between crates that a reviewer could overlook.

use alloc::collections::BTreeSet;

use anyhow::bail;
use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::{Outcome, PUBLISHED};

/// A package, its feature flags, and the crates that it must not depend on.
const ABSENT: &[(&str, &[&str], &[&str])] = &[
    (
        "wasm-meminit-apply",
        &[],
        &["miniz_oxide", "wasmparser", "wasm-encoder", "clap", "serde"],
    ),
    (
        "wasm-meminit-image-builder",
        &[],
        &[
            "miniz_oxide",
            "wasmparser",
            "wasm-encoder",
            "wasm-meminit-apply",
        ],
    ),
    (
        "wasm-meminit-analysis",
        &["--no-default-features"],
        &["wasmparser"],
    ),
    (
        "wasm-meminit-analysis",
        &["--all-features"],
        &["wasm-meminit-image-builder", "rustix"],
    ),
    (
        "wasm-meminit",
        &["--no-default-features"],
        &[
            "clap",
            "maud",
            "serde_json",
            "sha2",
            "wasmparser",
            "wasm-encoder",
            "wat",
        ],
    ),
];

/// Crates of which a published crate has two versions, with the reason.
const TWICE: &[(&str, &[&str])] = &[
    // The procedural macros of maud need an older one than those of clap and serde.
    ("wasm-meminit", &["syn"]),
];

/// Ensures that a run-time user compiles no wasm parser, that no crate depends on a later one, and
/// that no crate is there in two versions.
pub(crate) fn absent(sh: &Shell) -> anyhow::Result<Outcome> {
    for &(krate, flags, forbidden) in ABSENT {
        let tree = cmd!(
            sh,
            "cargo tree --package {krate} {flags...} --edges normal --target all --prefix none"
        )
        .read()?;
        for line in tree.lines() {
            let name = line.split(' ').next().unwrap_or_default();
            if forbidden.contains(&name) {
                bail!("{krate} {} depends on {line}", flags.join(" "));
            }
        }
    }
    for krate in PUBLISHED {
        no_duplicates(sh, krate)?;
    }
    Ok(Outcome::Passed(
        "wasm-meminit-apply depends on no wasm parser".to_owned(),
    ))
}

fn no_duplicates(sh: &Shell, krate: &str) -> anyhow::Result<()> {
    let tree = cmd!(
        sh,
        "cargo tree --duplicates --package {krate} --all-features --edges normal --target all --prefix none --depth 0"
    )
    .read()?;
    let listed = TWICE.iter().find(|(name, _)| *name == krate);
    let listed = listed.map_or(&[][..], |(_, twice)| *twice);
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let names = names.filter(|name| !name.is_empty());
    let twice: BTreeSet<&str> = names.collect();
    if twice.iter().eq(listed) {
        return Ok(());
    }
    bail!("{krate} has two versions of {twice:?}, expected {listed:?}")
}

/// Checks each feature on its own, and each library without any: none must need another one to
/// build. Uses clippy with `-D warnings`, because code that is dead without the other features
/// only warns.
pub(crate) fn each_alone(sh: &Shell) -> anyhow::Result<Outcome> {
    let mut n_checked = 0;
    for package in metadata::packages(sh)? {
        if !PUBLISHED.contains(&package.name.as_str()) {
            continue;
        }
        let krate = &package.name;
        // The tool's feature alone is what other steps build.
        let is_alone = |it: &&String| !matches!(it.as_str(), "default" | "cli");
        let alone = package.features.iter().filter(is_alone);
        for feature in alone.map(String::as_str).chain([""]) {
            cmd!(
                sh,
                "cargo clippy --package {krate} --no-default-features --features {feature} -- -D warnings"
            )
            .run()?;
            n_checked += 1;
        }
    }
    Ok(Outcome::Passed(format!("{n_checked} choices of features")))
}
