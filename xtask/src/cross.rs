//! Checks the run-time crate for other targets.

use std::path::Path;

use xshell::{Shell, cmd};

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
        if is_installed(sh, target)? {
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

/// Whether this toolchain can build for `target`. Asks rustc rather than rustup, which a
/// distribution's compiler does not come with.
pub(crate) fn is_installed(sh: &Shell, target: &str) -> anyhow::Result<bool> {
    let libdir = cmd!(sh, "rustc --print target-libdir --target {target}")
        .quiet()
        .ignore_status()
        .ignore_stderr()
        .read()?;
    Ok(!libdir.is_empty() && Path::new(&libdir).is_dir())
}
