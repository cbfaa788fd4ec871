//! Boundaries between crates that a reviewer could overlook.

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

/// Ensures that a run-time user compiles no wasm parser, and that no crate depends on a later one.
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
    Ok(Outcome::Passed(
        "wasm-meminit-apply depends on no wasm parser".to_owned(),
    ))
}

/// Checks each feature on its own: it must not need another one to build. Uses clippy with
/// `-D warnings`, because code that is dead without the other features only warns.
pub(crate) fn each_alone(sh: &Shell) -> anyhow::Result<Outcome> {
    let mut n_checked = 0;
    for package in metadata::packages(sh)? {
        if !PUBLISHED.contains(&package.name.as_str()) {
            continue;
        }
        let krate = &package.name;
        // The tool's feature alone is what other steps build.
        let is_alone = |it: &&String| !matches!(it.as_str(), "default" | "cli");
        for feature in package.features.iter().filter(is_alone) {
            cmd!(
                sh,
                "cargo clippy --package {krate} --no-default-features --features {feature} -- -D warnings"
            )
            .run()?;
            n_checked += 1;
        }
    }
    Ok(Outcome::Passed(format!("{n_checked} features")))
}
