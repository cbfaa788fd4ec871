//! Portable paths under Miri, which finds undefined behaviour as it happens.

use std::path::Path;

use anyhow::{bail, ensure};
use xshell::{Shell, cmd};

use crate::step::{self, Outcome};
use crate::test::counted;

/// A package, and parts of names of the tests of its library that run here: Miri
/// is some hundred times slower than the machine, so that not all can.
///
/// image-builder forbids `unsafe`, but hands its large buffers to crates that do
/// not; analysis does not even do that.
const SUITES: &[(&str, &[&str])] = &[
    ("wasm-meminit-apply", &["portable", "miri"]),
    ("wasm-meminit-image-builder", &["splice"]),
];

/// With arguments, those are the parts of names, in every suite.
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
    let mut notes = Vec::new();
    for &(krate, names) in SUITES {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let n_passed = run(sh, krate, &names)?;
        // A renamed test must not leave the step without work.
        ensure!(
            n_passed != 0,
            "no test of {krate} has one of {names:?} in its name"
        );
        notes.push(format!("{n_passed} tests of {krate}"));
    }
    Ok(Outcome::Passed(notes.join(", ")))
}

fn run(sh: &Shell, krate: &str, names: &[String]) -> anyhow::Result<u64> {
    let cmd = cmd!(
        sh,
        "cargo +nightly miri test --package {krate} --lib -- {names...}"
    )
    // proptest reads the clock and its file of regressions.
    .env(
        "MIRIFLAGS",
        "-Zmiri-disable-isolation -Zmiri-strict-provenance",
    )
    .env("PROPTEST_CASES", "2");
    Ok(counted(cmd)?.n_passed)
}

/// Why Miri cannot run here, if it cannot.
fn unavailable(sh: &Shell) -> Option<String> {
    if cmd!(sh, "cargo +nightly miri --version")
        .quiet()
        .ignore_stderr()
        .read()
        .is_err()
    {
        return Some("no nightly toolchain with Miri is installed".to_owned());
    }
    // Miri interprets the standard library too, so it builds one from source.
    let sysroot = cmd!(sh, "rustc +nightly --print sysroot")
        .quiet()
        .read()
        .ok()?;
    let source = Path::new(&sysroot).join("lib/rustlib/src/rust/library");
    (!source.is_dir()).then(|| "nightly's component rust-src is not installed".to_owned())
}
