//! Tests slots and pools on the code paths for other systems, in `apply/src/sys/`.
//!
//! The tests are the same; they skip what a path does not support, and say so.

use xshell::Shell;

use crate::metadata::{self, Package};
use crate::skips::Skips;
use crate::step::Outcome;
use crate::test;

/// Features of the run-time crate, each of which selects another path on Linux.
pub(crate) const PATHS: &[&str] = &["test-portable", "test-unix"];

/// Tests of the run-time crate that are the same everywhere. Without `drift`, `swap` and
/// `zero_pages`, which test what only Linux has.
pub(crate) fn suites() -> impl Iterator<Item = &'static str> {
    IN_EVERY_CHANGE.iter().chain(MODELS).copied()
}

/// What each call does, what remains after it, and what a tenant can see.
const IN_EVERY_CHANGE: &[&str] = &[
    "artifact_files",
    "faults",
    "given_back",
    "hostile_system",
    "image_files",
    "pool_security",
    "scarce_memory",
    "slot_edges",
    "slot_security",
    "start",
];

/// Long sequences of uses. Above the calls, every path has the same code.
const MODELS: &[&str] = &["growth", "model", "pool", "pool_model", "pool_threads"];

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    run(sh, IN_EVERY_CHANGE)
}

pub(crate) fn models(sh: &Shell) -> anyhow::Result<Outcome> {
    run(sh, MODELS)
}

fn run(sh: &Shell, suites: &[&str]) -> anyhow::Result<Outcome> {
    if !cfg!(target_os = "linux") {
        return Ok(Outcome::Skipped(
            "only on Linux is there another path".to_owned(),
        ));
    }
    let suites = suites.iter().flat_map(|suite| ["--test", *suite]);
    let suites: Vec<&str> = suites.collect();
    let packages = metadata::packages(sh)?;
    let skips = Skips::new(sh)?;
    for path in PATHS {
        let features = features(&packages, path);
        test::run(
            sh,
            &[&["--features", features.as_str()], suites.as_slice()].concat(),
            &skips,
        )?;
    }
    let note = format!("{}; {}", PATHS.join(", "), skips.note(sh)?);
    Ok(Outcome::Passed(note))
}

/// Returns cargo's list of the features of the packages, but of the paths only this one. With
/// fewer features, cargo would build every dependency again.
pub(crate) fn features(packages: &[Package], path: &str) -> String {
    let wanted = |name: &str| !PATHS.contains(&name) || name == path;
    let mut names = Vec::new();
    for package in packages {
        let wanted = package.features.iter().filter(|it| wanted(it));
        names.extend(wanted.map(|it| format!("{}/{it}", package.name)));
    }
    names.join(",")
}
