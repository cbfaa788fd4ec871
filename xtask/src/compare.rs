//! Runs existing engines on our memory, and compares with them: `tests/peers`.
//!
//! This is not a step of ci, because the engines take minutes to compile.

use anyhow::bail;
use xshell::{Shell, cmd};

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let Some((command, rest)) = args.split_first() else {
        bail!("usage: cargo xtask compare test|bench|check [ARGS]");
    };
    match command.as_str() {
        "test" => cmd!(
            sh,
            "cargo test --release --package wasm-meminit-peers {rest...}"
        ),
        "bench" => cmd!(sh, "cargo bench --package wasm-meminit-peers {rest...}"),
        "check" => cmd!(
            sh,
            "cargo clippy --package wasm-meminit-peers --all-targets {rest...} -- -D warnings"
        ),
        other => bail!("compare: no such command: {other}; expected test, bench or check"),
    }
    .run()?;
    Ok(())
}
