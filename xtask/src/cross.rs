//! Checks the run-time crate for other targets.

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

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let (mut checked, mut missing) = (Vec::new(), Vec::new());
    for target in TARGETS {
        if has_target(sh, target)? {
            cmd!(
                sh,
                "cargo clippy --package wasm-meminit-apply --target {target} -- -D warnings"
            )
            .run()?;
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
