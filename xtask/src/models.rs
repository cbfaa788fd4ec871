//! Runs the models of the pool: its threads take turns in thousands of chosen orders.

use anyhow::{Context, ensure};
use xshell::{Shell, cmd};

use crate::metadata;
use crate::step::{self, Outcome};

/// Optimises what switches between threads, and nothing else: most of the time goes into
/// compiling.
const PROFILE: &[&str] = &[
    "profile.test.opt-level=0",
    "profile.test.package.corosensei.opt-level=1",
    "profile.test.package.shuttle-engine.opt-level=1",
    "profile.test.package.shuttle-std.opt-level=1",
];

/// Arguments: how many schedules of each kind a model runs. Default: 1,000.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    match args {
        [] => step::alone(sh, step),
        [n] => {
            let n: usize = n
                .parse()
                .with_context(|| format!("`{n}` is not a number of schedules"))?;
            println!("{}", run(sh, n)?);
            Ok(())
        }
        _ => anyhow::bail!("usage: cargo xtask models [SCHEDULES]"),
    }
}

pub(crate) fn step(sh: &Shell) -> anyhow::Result<Outcome> {
    run(sh, 1000)
}

fn run(sh: &Shell, n: usize) -> anyhow::Result<Outcome> {
    let profile = PROFILE.iter().flat_map(|setting| ["--config", *setting]);
    // Other flags build all dependencies anew: in a folder of their own, they replace nothing.
    let output = cmd!(
        sh,
        "cargo test {profile...} --package wasm-meminit-apply --features fault-injection --lib
            pool::models -- --nocapture --test-threads 2"
    )
    .env("RUSTFLAGS", "--cfg shuttle")
    .env(
        "CARGO_TARGET_DIR",
        metadata::target_directory(sh)?.join("models"),
    )
    .env("WASM_MEMINIT_SCHEDULES", n.to_string())
    .read();
    let output = output.context("a model failed: shuttle printed its schedule")?;
    let sums = Sums::of(&output);
    ensure!(sums.n_models != 0, "no model ran:\n{output}");
    print!("{}", sums.lines);
    Ok(Outcome::Passed(format!(
        "{} models, {} schedules, {} different",
        sums.n_models, sums.n_schedules, sums.n_different
    )))
}

/// What the models printed about themselves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    lines: String,
    n_models: u64,
    n_schedules: u64,
    n_different: u64,
}

impl Sums {
    fn of(output: &str) -> Self {
        let mut sums = Self::default();
        for line in output.lines() {
            let Some((n_schedules, n_different)) = counts(line) else {
                continue;
            };
            sums.lines.push_str(line);
            sums.lines.push('\n');
            sums.n_models += 1;
            sums.n_schedules += n_schedules;
            sums.n_different += n_different;
        }
        sums
    }
}

/// Reads a line as `apply/src/pool/models/explore.rs` prints it.
fn counts(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.strip_prefix("model ")?.split_once(": ")?;
    let (schedules, different) = counts.split_once(" schedules, ")?;
    let different = different.strip_suffix(" different")?;
    Some((schedules.parse().ok()?, different.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_models_are_summed() {
        let output = "\nrunning 2 tests\n\nmodel a::b: 20 schedules, 3 different\ntest a::b ... ok\n\
                      model c::d: 20 schedules, 17 different\ntest result: ok. 2 passed\n";
        let sums = Sums::of(output);
        assert_eq!(sums.n_models, 2);
        assert_eq!((sums.n_schedules, sums.n_different), (40, 20));
        assert_eq!(sums.lines.lines().count(), 2);
        assert_eq!(Sums::of("test result: ok. 0 passed"), Sums::default());
    }
}
