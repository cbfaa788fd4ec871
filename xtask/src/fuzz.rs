//! Runs a fuzz target of `tests/fuzz` for a number of seconds.

use xshell::{Shell, cmd};

/// Optimised, but with the checks that make bugs visible to a fuzzer.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    cmd!(
        sh,
        "cargo run --release --package wasm-meminit-fuzz -- {args...}"
    )
    .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
    .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
    // Different flags give different build artifacts: without their own folder, they would
    // replace those of `cargo build --release`.
    .env("CARGO_TARGET_DIR", "target/fuzz")
    .run()?;
    Ok(())
}
