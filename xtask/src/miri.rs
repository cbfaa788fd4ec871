//! Runs the portable code paths under Miri, which detects undefined behaviour.

use anyhow::{bail, ensure};
use xshell::{Shell, cmd};

use crate::installed::{has, has_nightly_sources};
use crate::step::{self, Outcome, passed};

/// A package, and name filters for its library tests that run here. Miri is hundreds of times
/// slower than native execution, so not all tests can run.
///
/// image-builder forbids `unsafe` but passes its large buffers to crates that use it; analysis
/// does not even do that.
const SUITES: &[(&str, &[&str])] = &[
    ("wasm-meminit-apply", &["portable", "miri"]),
    ("wasm-meminit-image-builder", &["splice"]),
];

/// Arguments replace the name filters of every suite.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    if args.is_empty() {
        return step::alone(sh, step);
    }
    if let Some(reason) = unavailable(sh) {
        bail!(reason);
    }
    for &(krate, _) in SUITES {
        run(sh, krate, args)?;
    }
    Ok(())
}

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    if let Some(reason) = unavailable(sh) {
        return Ok(Outcome::Skipped(reason));
    }
    for &(krate, names) in SUITES {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        run(sh, krate, &names)?;
    }
    passed()
}

fn run(sh: &Shell, krate: &str, names: &[String]) -> anyhow::Result<()> {
    let output = cmd!(
        sh,
        "cargo +nightly miri test --package {krate} --lib -- {names...}"
    )
    // proptest reads the clock and its regression file.
    .env(
        "MIRIFLAGS",
        "-Zmiri-disable-isolation -Zmiri-strict-provenance",
    )
    .env("PROPTEST_CASES", "2")
    .read()?;
    println!("{output}");
    // After a rename of tests, the step must not silently run none.
    ensure!(
        !output.contains("running 0 tests"),
        "no test name in {krate} contains any of {names:?}"
    );
    Ok(())
}

/// Returns why Miri cannot run here, or `None` if it can.
fn unavailable(sh: &Shell) -> Option<String> {
    if !has(sh, &["cargo", "+nightly", "miri"]) {
        return Some("no nightly toolchain with Miri is installed".to_owned());
    }
    // Miri interprets the standard library too, so it builds it from source.
    (!has_nightly_sources(sh)).then(|| "nightly's component rust-src is not installed".to_owned())
}
