//! `cargo xtask api`: compares the public API of each library with its snapshot in `api/`.
//!
//! A change of the API is then a change of a file, which a reviewer sees. It needs a nightly
//! compiler, for rustdoc's JSON; without one it is skipped.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use crate::installed::has;
use crate::metadata;
use crate::step::Outcome;

const HELP: &str = "\
usage: cargo xtask api [--engines] [--bless]

Compares the public API of the published libraries with api/*.txt. With --engines, that of
the packages for engines too, which takes minutes. --bless writes the files.
";

/// The libraries whose API is compared in each run, with the features that they have.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("wasm-meminit-analysis", &["--all-features"]),
    ("wasm-meminit-image-builder", &["--all-features"]),
    // Its other features are for its own tests.
    ("wasm-meminit-apply", &["--features", "std"]),
    // The feature `cli` adds nothing to the library.
    (
        "wasm-meminit",
        &["--no-default-features", "--features", "parse"],
    ),
];

/// Those for engines that compile fast: compared in ci, too.
const ENGINES: &[(&str, &[&str])] = &[("wasm-meminit-wasmi", &["--all-features"])];

/// Those for engines that take minutes. The API of the C package is its header, which its own tests
/// compare.
const SLOW_ENGINES: &[(&str, &[&str])] = &[
    ("wasm-meminit-wasmer", &[]),
    ("wasm-meminit-wasmtime", &["--all-features"]),
];

/// The program that lists an API.
const LISTER: &str = "wasm-meminit-public-api";

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let (mut engines, mut bless) = (false, false);
    for arg in args {
        match arg.as_str() {
            "--engines" => engines = true,
            "--bless" => bless = true,
            "help" | "-h" | "--help" => {
                print!("{HELP}");
                return Ok(());
            }
            _ => bail!("unknown argument {arg}\n\n{HELP}"),
        }
    }
    let all = [LIBRARIES, ENGINES, SLOW_ENGINES];
    let compared = if engines { &all[..] } else { &all[..1] };
    println!("{}", compare(sh, &compared.concat(), bless)?);
    Ok(())
}

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    cmd!(sh, "cargo clippy --package {LISTER} -- -D warnings").run()?;
    compare(sh, &[LIBRARIES, ENGINES].concat(), false)
}

fn compare(sh: &Shell, libraries: &[(&str, &[&str])], bless: bool) -> anyhow::Result<Outcome> {
    if !has(sh, &["cargo", "+nightly"]) {
        let reason = "no nightly compiler: rustup toolchain install nightly --profile minimal";
        return Ok(Outcome::Skipped(reason.to_owned()));
    }
    // Its own directory: another compiler would build everything anew.
    let target = metadata::target_directory(sh)?.join("api");
    let _target = sh.push_env("CARGO_TARGET_DIR", &target);
    cmd!(sh, "cargo +nightly build --quiet --package {LISTER}").run()?;
    let lister = target.join("debug").join(LISTER);
    let mut findings = Vec::new();
    for &(krate, features) in libraries {
        cmd!(
            sh,
            "cargo +nightly rustdoc --quiet --package {krate} --lib {features...} -- -Z unstable-options --output-format json"
        )
        .run()?;
        let json = target
            .join("doc")
            .join(format!("{}.json", krate.replace('-', "_")));
        if let Some(found) = format_version(&json)?.filter(|it| *it != FORMAT_VERSION) {
            return Ok(Outcome::Skipped(format!(
                "the nightly compiler writes version {found} of rustdoc's JSON, expected {FORMAT_VERSION}: update public-api in tests/api/Cargo.toml"
            )));
        }
        let current = cmd!(sh, "{lister} {json}").quiet().read()? + "\n";
        let snapshot = PathBuf::from("api").join(format!("{krate}.txt"));
        if bless {
            sh.write_file(&snapshot, &current)?;
            continue;
        }
        let blessed = sh.read_file(&snapshot).unwrap_or_default();
        findings.extend(difference(&snapshot, &blessed, &current));
    }
    if findings.is_empty() {
        let names: Vec<&str> = libraries.iter().map(|(krate, _)| *krate).collect();
        return Ok(Outcome::Passed(names.join(", ")));
    }
    bail!(
        "the public API differs from its snapshot; if that is intended, add a line to the \
         changelog and run `cargo xtask api --bless`\n{}",
        findings.join("\n")
    )
}

/// The version of rustdoc's JSON that the lister reads.
const FORMAT_VERSION: u64 = 57;

/// Returns the version that a file states, without reading all of it as JSON.
fn format_version(json: &Path) -> anyhow::Result<Option<u64>> {
    let text = std::fs::read_to_string(json).with_context(|| json.display().to_string())?;
    let (_, rest) = text.rsplit_once("\"format_version\":").unwrap_or_default();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse().ok())
}

/// Returns the lines that only one of two sorted lists has.
fn difference(snapshot: &Path, blessed: &str, current: &str) -> Vec<String> {
    let name = snapshot.display();
    let only = |these: &str, those: &str, sign: char| -> Vec<String> {
        let those: Vec<&str> = those.lines().collect();
        let lines = these.lines().filter(|line| !those.contains(line));
        lines.map(|line| format!("{name}: {sign} {line}")).collect()
    };
    [only(blessed, current, '-'), only(current, blessed, '+')].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_and_removed() {
        let found = difference(Path::new("api/a.txt"), "a\nb\n", "b\nc\n");
        assert_eq!(found, ["api/a.txt: - a", "api/a.txt: + c"]);
        assert_eq!(difference(Path::new("a"), "a\n", "a\n"), [""; 0]);
    }

    /// Without a nightly compiler, at least no library lacks a snapshot.
    #[test]
    fn every_library_has_a_snapshot() {
        for (krate, _) in [LIBRARIES, ENGINES, SLOW_ENGINES].concat() {
            let path = crate::root().join("api").join(format!("{krate}.txt"));
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(10 < text.lines().count(), "{}", path.display());
        }
        assert_eq!(LIBRARIES.len(), crate::step::PUBLISHED.len());
    }
}
