//! Benches: the task measures; `ci` runs them once as tests, so that none breaks unnoticed.

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

/// The only bench that fails if something is too slow.
const GROWTH: &str = "growth";

pub(crate) fn growth(sh: &Shell) -> anyhow::Result<Outcome> {
    once(sh, &[GROWTH])
}

/// The others, which `clippy` has only compiled.
pub(crate) fn others(sh: &Shell) -> anyhow::Result<Outcome> {
    let packages = metadata::packages(sh)?;
    let names = packages.iter().flat_map(|it| &it.benches);
    let names: Vec<&str> = names
        .map(String::as_str)
        .filter(|it| *it != GROWTH)
        .collect();
    once(sh, &names)
}

fn once(sh: &Shell, names: &[&str]) -> anyhow::Result<Outcome> {
    let benches = names.iter().flat_map(|name| ["--bench", name]);
    // Not `--release`, which would build every dependency a second time.
    cmd!(sh, "cargo test --all-features {benches...}").run()?;
    Ok(Outcome::Passed(names.join(", ")))
}
