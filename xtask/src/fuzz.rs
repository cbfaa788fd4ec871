//! Runs a fuzz target of `tests/fuzz` for a number of seconds.

use xshell::{Shell, cmd};

/// Optimised, but with the checks that make a fuzzer see a bug.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    cmd!(
        sh,
        "cargo run --release --package wasm-meminit-fuzz -- {args...}"
    )
    .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
    .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
    // Other flags, other artifacts: without a folder of their own they
    // would push out those of `cargo build --release`.
    .env("CARGO_TARGET_DIR", "target/fuzz")
    .run()?;
    Ok(())
}
