//! Engines that exist, started from our memory and measured beside us: `tests/peers`.
//!
//! No step of ci: the engines take minutes to compile.

use anyhow::bail;
use xshell::{Shell, cmd};

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let Some((command, rest)) = args.split_first() else {
        bail!("peers: say what: test, bench or check");
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
        other => bail!("peers: no such command: {other} (there are test, bench and check)"),
    }
    .run()?;
    Ok(())
}
