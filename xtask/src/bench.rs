//! Benches: the task measures; `ci` runs each once as a test, so that none breaks unnoticed.

use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::Outcome;

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    for package in metadata::packages(sh)? {
        let krate = &package.name;
        // Name each bench: libraries and binaries would run as empty benches.
        for bench in &package.benches {
            cmd!(
                sh,
                "cargo bench --package {krate} --all-features --bench {bench} -- {args...}"
            )
            .run()?;
        }
    }
    Ok(())
}

pub(crate) fn once(sh: &Shell) -> anyhow::Result<Outcome> {
    let packages = metadata::packages(sh)?;
    let names: Vec<&str> = packages
        .iter()
        .flat_map(|it| it.benches.iter().map(String::as_str))
        .collect();
    if names.is_empty() {
        return Ok(Outcome::Skipped("the workspace has no bench".to_owned()));
    }
    let benches = names.iter().flat_map(|name| ["--bench", name]);
    // Not `--release`, which would build every dependency a second time.
    cmd!(sh, "cargo test --all-features {benches...}").run()?;
    Ok(Outcome::Passed(names.join(", ")))
}
