//! Checks that the first two crates need only `alloc`.

use anyhow::ensure;
use xshell::{Shell, cmd};

use crate::installed::has_target;
use crate::step::{self, Outcome};

/// The folder, package and features of every combination that promises `no_std`.
const CRATES: &[(&str, &str, &[&str])] = &[
    ("analysis", "wasm-meminit-analysis", &[]),
    (
        "analysis",
        "wasm-meminit-analysis",
        &["--features", "parse"],
    ),
    ("image-builder", "wasm-meminit-image-builder", &[]),
    (
        "image-builder",
        "wasm-meminit-image-builder",
        &["--features", "rewrite,verify"],
    ),
];

/// Targets without `std`, so that it cannot be linked by accident; any of them will do.
const WITHOUT_STD: &[&str] = &[
    "thumbv7em-none-eabi",
    "thumbv7em-none-eabihf",
    "x86_64-unknown-none",
    "aarch64-unknown-none",
    "riscv32imac-unknown-none-elf",
    "wasm32v1-none",
];

/// Has a `std`, though mostly stubs; at least it is not the host's.
const WASM: &str = "wasm32-unknown-unknown";

pub(crate) fn task(sh: &Shell, _args: &[String]) -> anyhow::Result<()> {
    step::alone(sh, step)
}

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    for (folder, ..) in CRATES {
        // If the target has a `std`, only this attribute prevents its use.
        let lib = sh.read_file(format!("{folder}/src/lib.rs"))?;
        let declared = lib.lines().any(|line| line == "#![no_std]");
        ensure!(declared, "{folder}/src/lib.rs has no line `#![no_std]`");
    }
    let mut bare_metal = None;
    for target in WITHOUT_STD {
        if has_target(sh, target)? {
            bare_metal = Some(*target);
            break;
        }
    }
    let (target, note) = match bare_metal {
        Some(target) => (Some(target), format!("on {target}, which has no `std`")),
        None if has_target(sh, WASM)? => (Some(WASM), format!("on {WASM}, which has a `std`")),
        None => (None, "on the host: no other target is installed".to_owned()),
    };
    for &(_, krate, features) in CRATES {
        let target = target.map(|target| ["--target", target]);
        let target = target.iter().flatten();
        cmd!(
            sh,
            "cargo clippy --package {krate} --no-default-features {features...} {target...} -- -D warnings"
        )
        .run()?;
    }
    Ok(Outcome::Passed(note))
}
