//! Runs each example of the default members to completion.

use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::Outcome;

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    let mut names = Vec::new();
    for package in metadata::packages(sh)? {
        for example in package.examples {
            // The profile and the selection of packages that the tests were built with.
            cmd!(
                sh,
                "cargo run --quiet --profile test --all-features --example {example}"
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
