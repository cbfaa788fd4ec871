//! Side by side with real engines: `tests/peers`.
//!
//! Not part of `ci`: building those engines takes longer than all of its steps.

use anyhow::bail;
use xshell::{Shell, cmd};

const PACKAGE: &str = "wasm-meminit-peers";

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let Some((what, rest)) = args.split_first() else {
        bail!("usage: {USAGE}")
    };
    match what.as_str() {
        "check" => {
            cmd!(
                sh,
                "cargo clippy --package {PACKAGE} --all-targets -- -D warnings"
            )
            .run()?;
        }
        "test" => cmd!(sh, "cargo test --package {PACKAGE} {rest...}").run()?,
        "bench" => cmd!(sh, "cargo run --release --package {PACKAGE} -- {rest...}").run()?,
        other => bail!("`{other}` is none of them; usage: {USAGE}"),
    }
    Ok(())
}

const USAGE: &str = "cargo xtask peers check | test [ARGS] | bench [ARGS]";
