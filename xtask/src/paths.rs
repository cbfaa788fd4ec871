//! Tests slots and pools on the code paths for other systems, in `apply/src/sys/`.
//!
//! The tests are the same; they skip what a path does not support, and say so.

use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::Outcome;

/// Features of the run-time crate, each of which selects another path on Linux.
const PATHS: &[&str] = &["test-portable", "test-unix"];

/// Tests of the run-time crate that are the same everywhere. Without `drift`, `swap` and
/// `zero_pages`, which test what only Linux has.
const SUITES: &[&str] = &[
    "artifact_files",
    "faults",
    "given_back",
    "growth",
    "hostile_system",
    "image_files",
    "model",
    "pool",
    "pool_model",
    "pool_security",
    "pool_threads",
    "slot_edges",
    "slot_security",
    "start",
];

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped(
            "only on Linux is there another path".to_owned(),
        ));
    }
    let suites = SUITES.iter().flat_map(|suite| ["--test", *suite]);
    let suites = &suites.collect::<Vec<_>>();
    for path in PATHS {
        let features = features(sh, path)?;
        cmd!(sh, "cargo test --features {features} {suites...}").run()?;
    }
    Ok(Outcome::Passed(PATHS.join(", ")))
}

/// Returns cargo's list of all features of all packages, but of those in [`PATHS`] only this one.
/// With fewer of them, cargo would build every dependency again.
pub(crate) fn features(sh: &Shell, path: &str) -> anyhow::Result<String> {
    all_features(sh, |name| !PATHS.contains(&name) || name == path)
}

/// Returns cargo's list of the wanted features of all packages.
fn all_features(sh: &Shell, wanted: impl Fn(&str) -> bool) -> anyhow::Result<String> {
    let mut names = Vec::new();
    for package in metadata::packages(sh)? {
        let wanted = package.features.iter().filter(|it| wanted(it));
        names.extend(wanted.map(|it| format!("{}/{it}", package.name)));
    }
    Ok(names.join(","))
}
