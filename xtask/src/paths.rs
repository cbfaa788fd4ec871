//! Tests slots and pools with the code paths of other systems, in `apply/src/sys/`.
//!
//! The tests are the same; they skip and report what a path does not support.

use anyhow::ensure;
use xshell::{Shell, cmd};

use crate::step::Outcome;
use crate::test::counted;

/// Features of the run-time crate, each of which selects another path on Linux.
const PATHS: &[&str] = &["test-portable", "test-unix"];

/// Tests of the run-time crate that apply to every system. Tests of features that only Linux
/// has (`drift`, `swap`, `zero_pages`) are not listed.
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
            "other paths can only be selected on Linux".to_owned(),
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
