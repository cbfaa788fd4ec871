//! Slots and pools by the paths of systems that this machine is not: `apply/src/sys/`.
//!
//! The tests are the same; what a path has not, they leave out and say so.

use anyhow::ensure;
use xshell::{Shell, cmd};

use crate::step::Outcome;
use crate::test::counted;

/// Features of the run-time crate, each of which takes another path on Linux.
const PATHS: &[&str] = &["test-portable", "test-unix"];

/// Tests of the run-time crate that are the same everywhere. Not here: what only Linux
/// has (`drift`, `swap`, `zero_pages`).
const SUITES: &[&str] = &[
    "faults",
    "given_back",
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
    let mut notes = Vec::new();
    for path in PATHS {
        let features = format!("fault-injection,{path}");
        let counts = counted(cmd!(
            sh,
            "cargo test --package wasm-meminit-apply --features {features} --lib {suites...}"
        ))?;
        ensure!(counts.n_passed != 0, "{path}: no test ran");
        notes.push(format!("{path}: {counts}"));
    }
    Ok(Outcome::Passed(notes.join("; ")))
}
