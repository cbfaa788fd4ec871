//! Portable paths under Miri, which finds undefined behaviour as it happens.

use std::path::Path;

use anyhow::ensure;
use xshell::{Shell, cmd};

use crate::step::Outcome;
use crate::test::counted;

/// Miri is some hundred times slower than the machine: a test is run when its
/// path contains one of these.
const FILTERS: &[&str] = &["portable", "miri"];

/// analysis and image-builder forbid `unsafe`; the latter hands slices to
/// crates that do not.
const PACKAGES: &[&str] = &["wasm-meminit-apply", "wasm-meminit-image-builder"];

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let filters: Vec<&str> = args.iter().map(String::as_str).collect();
    let filters = if filters.is_empty() {
        FILTERS
    } else {
        filters.as_slice()
    };
    println!("{}", run(sh, filters)?);
    Ok(())
}

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    run(sh, FILTERS)
}

fn run(sh: &Shell, filters: &[&str]) -> anyhow::Result<Outcome> {
    if let Some(reason) = unavailable(sh) {
        return Ok(Outcome::Skipped(reason));
    }
    let packages = PACKAGES.iter().flat_map(|krate| ["--package", *krate]);
    let cmd = cmd!(
        sh,
        "cargo +nightly miri test {packages...} --lib -- {filters...}"
    )
    // proptest reads the clock and its file of regressions.
    .env(
        "MIRIFLAGS",
        "-Zmiri-disable-isolation -Zmiri-strict-provenance",
    )
    .env("PROPTEST_CASES", "4");
    let counts = counted(cmd)?;
    ensure!(
        counts.n_passed != 0,
        "no test of {PACKAGES:?} has one of {filters:?} in its name"
    );
    Ok(Outcome::Passed(format!(
        "{counts}, of {}",
        PACKAGES.join(" and ")
    )))
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
