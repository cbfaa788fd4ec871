//! Checks the run-time crate for other targets, and for two of them also its tests and the tool.

use xshell::{Shell, cmd};

use crate::installed::has_target;
use crate::step::Outcome;

/// Each uses a different file of `apply/src/sys/` or a different pointer width.
const TARGETS: &[&str] = &[
    "x86_64-pc-windows-gnu",
    "x86_64-apple-darwin",
    "x86_64-unknown-freebsd",
    "x86_64-unknown-netbsd",
    "wasm32-unknown-unknown",
    "aarch64-unknown-linux-gnu",
];

/// One without `unix`, and one that is `unix` but not Linux: what compiles for both rarely fails for
/// the others, and each takes as long to check as all of `TARGETS`.
const TARGETS_OF_THE_TOOL: &[&str] = &["x86_64-pc-windows-gnu", "x86_64-apple-darwin"];

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let (mut installed, mut missing) = (Vec::new(), Vec::new());
    for target in TARGETS {
        match has_target(sh, target)? {
            true => installed.push(*target),
            false => missing.push(*target),
        }
    }
    clippy(sh, &["--package", "wasm-meminit-apply"], &installed)?;
    let of_the_tool = |it: &&str| TARGETS_OF_THE_TOOL.contains(it);
    let some: Vec<&str> = installed.iter().copied().filter(of_the_tool).collect();
    let tests = [
        "--package",
        "wasm-meminit-apply",
        "--all-features",
        "--tests",
    ];
    clippy(sh, &tests, &some)?;
    let tool = ["--package", "wasm-meminit", "--bin", "wasm-meminit"];
    clippy(sh, &tool, &some)?;
    let missing = match missing.as_slice() {
        [] => String::new(),
        missing => format!("no standard library installed for {}", missing.join(", ")),
    };
    Ok(match (installed.as_slice(), missing.as_str()) {
        ([], _) => Outcome::Skipped(missing),
        (checked, "") => Outcome::Passed(checked.join(", ")),
        (checked, _) => Outcome::Passed(format!("{}; skipped: {missing}", checked.join(", "))),
    })
}

/// Checks for all targets in one command, so that one is not waited for before the next begins.
fn clippy(sh: &Shell, what: &[&str], targets: &[&str]) -> anyhow::Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    let targets = targets.iter().flat_map(|it| ["--target", *it]);
    cmd!(sh, "cargo clippy {what...} {targets...} -- -D warnings").run()?;
    Ok(())
}
