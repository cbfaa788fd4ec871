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
    let (mut checked, mut missing) = (Vec::new(), Vec::new());
    for target in TARGETS {
        if has_target(sh, target)? {
            cmd!(
                sh,
                "cargo clippy --package wasm-meminit-apply --target {target} -- -D warnings"
            )
            .run()?;
            if TARGETS_OF_THE_TOOL.contains(target) {
                check_tests_and_tool(sh, target)?;
            }
            checked.push(*target);
        } else {
            missing.push(*target);
        }
    }
    let missing = match missing.as_slice() {
        [] => String::new(),
        missing => format!("no standard library installed for {}", missing.join(", ")),
    };
    Ok(match (checked.as_slice(), missing.as_str()) {
        ([], _) => Outcome::Skipped(missing),
        (checked, "") => Outcome::Passed(checked.join(", ")),
        (checked, _) => Outcome::Passed(format!("{}; skipped: {missing}", checked.join(", "))),
    })
}

fn check_tests_and_tool(sh: &Shell, target: &str) -> anyhow::Result<()> {
    cmd!(
        sh,
        "cargo clippy --package wasm-meminit-apply --all-features --tests --target {target} -- -D warnings"
    )
    .run()?;
    cmd!(
        sh,
        "cargo clippy --package wasm-meminit --bin wasm-meminit --target {target} -- -D warnings"
    )
    .run()?;
    Ok(())
}
