//! Runs each example of the default members to completion.

use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::Outcome;

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let mut names = Vec::new();
    for package in metadata::packages(sh)? {
        let krate = &package.name;
        for example in package.examples {
            cmd!(
                sh,
                "cargo run --quiet --package {krate} --all-features --example {example}"
            )
            .run()?;
            names.push(example);
        }
    }
    Ok(match names.as_slice() {
        [] => Outcome::Skipped("the workspace has no example".to_owned()),
        names => Outcome::Passed(names.join(", ")),
    })
}
