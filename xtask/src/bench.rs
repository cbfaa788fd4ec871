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
    let mut names = Vec::new();
    for package in metadata::packages(sh)? {
        if package.benches.is_empty() {
            continue;
        }
        let krate = &package.name;
        let benches = package.benches.iter().flat_map(|bench| ["--bench", bench]);
        // Not `--release`, which would build every dependency a second time.
        cmd!(
            sh,
            "cargo test --package {krate} --all-features {benches...}"
        )
        .run()?;
        names.extend(package.benches.iter().cloned());
    }
    Ok(match names.as_slice() {
        [] => Outcome::Skipped("the workspace has no bench".to_owned()),
        names => Outcome::Passed(names.join(", ")),
    })
}
