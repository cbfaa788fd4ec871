//! `cargo xtask ci`: everything a change must pass, cheapest first.
//!
//! Each step prints its time when it ends; a final table lists what was skipped and why. The
//! first failure stops the run.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context, bail};
use xshell::Shell;

use crate::step::{Outcome, StepFn};
use crate::{
    bench, check, cross, doc, examples, features, miri, no_std, package, paths, test, tidy, tour,
};

/// How long all steps may take on two cores, including the first build.
const BUDGET: Duration = Duration::from_mins(15);

struct Step {
    name: &'static str,
    about: &'static str,
    run: StepFn,
}

const fn step(name: &'static str, about: &'static str, run: StepFn) -> Step {
    Step { name, about, run }
}

/// In order of cost, so that a cheap failure is found first.
const STEPS: &[Step] = &[
    step("fmt", "formatting", check::fmt),
    step(
        "tidy",
        "headers, file lengths, where `unsafe` is allowed",
        tidy::step,
    ),
    step("lock", "Cargo.lock is complete", check::lock),
    step("absent", "forbidden dependencies", features::absent),
    step("no-std", "the first two crates without `std`", no_std::step),
    step(
        "features",
        "each feature of each library alone",
        features::each_alone,
    ),
    step("cross", "the run-time crate for other targets", cross::step),
    step(
        "package",
        "the published crates, built from their packages",
        package::step,
    ),
    step(
        "clippy",
        "all targets, all features, no warnings",
        check::clippy,
    ),
    step("doc", "documentation, no warnings", doc::step),
    step("miri", "portable paths under Miri", miri::step),
    step(
        "release",
        "library tests without debug assertions",
        test::release,
    ),
    step(
        "paths",
        "slots and pools with the code paths of other systems",
        paths::step,
    ),
    step("tour", "the README's first command", tour::step),
    step(
        "examples",
        "each example, run to completion",
        examples::step,
    ),
    step("bench", "each bench once, as a test", bench::once),
    step(
        "test",
        "unit, documentation and integration tests",
        test::all,
    ),
];

enum End {
    Passed,
    Skipped,
    Failed,
}

struct Line {
    name: &'static str,
    end: End,
    time: Duration,
    note: String,
}

pub(crate) fn run(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let steps = match args.as_slice() {
        ["--list"] => {
            for step in STEPS {
                println!("{:<9} {}", step.name, step.about);
            }
            return Ok(());
        }
        _ => select(&args)?,
    };
    let started = Instant::now();
    let mut lines = Vec::new();
    for step in &steps {
        println!("\n=== {}: {}", step.name, step.about);
        let start = Instant::now();
        let result = (step.run)(sh);
        let time = start.elapsed();
        let (end, note) = match &result {
            Ok(Outcome::Passed(note)) => (End::Passed, note.clone()),
            Ok(skipped @ Outcome::Skipped(_)) => (End::Skipped, skipped.to_string()),
            Err(err) => (End::Failed, format!("{err:#}")),
        };
        lines.push(Line {
            name: step.name,
            end,
            time,
            note,
        });
        println!("{}", row(lines.last().expect("just pushed")));
        if let Err(err) = result {
            print!("{}", table(&lines, steps.len(), started.elapsed()));
            return Err(err).context(format!("step `{}` failed", step.name));
        }
    }
    print!("{}", table(&lines, steps.len(), started.elapsed()));
    Ok(())
}

/// Returns the steps that the flags select; all of them without a flag.
fn select(args: &[&str]) -> anyhow::Result<Vec<&'static Step>> {
    match *args {
        [] => Ok(STEPS.iter().collect()),
        ["--only", names] => {
            let wanted: Vec<usize> = names.split(',').map(position).collect::<Result<_, _>>()?;
            // In the table's order, not in the order of the arguments.
            let chosen = STEPS
                .iter()
                .enumerate()
                .filter(|(at, _)| wanted.contains(at));
            Ok(chosen.map(|(_, step)| step).collect())
        }
        ["--from", name] => Ok(STEPS[position(name)?..].iter().collect()),
        _ => bail!("usage: cargo xtask ci [--list | --only STEP,STEP | --from STEP]"),
    }
}

fn position(name: &str) -> anyhow::Result<usize> {
    STEPS
        .iter()
        .position(|step| step.name == name)
        .with_context(|| format!("no step `{name}`; `cargo xtask ci --list` names them"))
}

fn row(line: &Line) -> String {
    let end = match line.end {
        End::Passed => "ok",
        End::Skipped => "skip",
        End::Failed => "FAIL",
    };
    let row = format!(
        "{:<9} {end:<5} {:>7.1} s  {}",
        line.name,
        line.time.as_secs_f64(),
        line.note
    );
    row.trim_end().to_owned()
}

fn table(lines: &[Line], n_steps: usize, total: Duration) -> String {
    let mut out = String::from("\n=== summary\n");
    for line in lines {
        out.push_str(&row(line));
        out.push('\n');
    }
    let failed = lines.iter().any(|line| matches!(line.end, End::Failed));
    let verdict = if failed { "FAIL" } else { "ok" };
    out.push_str(&format!(
        "{:<9} {verdict:<5} {:>7.1} s",
        "total",
        total.as_secs_f64()
    ));
    if lines.len() < n_steps {
        out.push_str(&format!("  {} steps not run", n_steps - lines.len()));
    }
    if BUDGET < total {
        out.push_str(&format!("  over the budget of {} s", BUDGET.as_secs()));
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &[&str]) -> Vec<&'static str> {
        select(args)
            .expect("known steps")
            .iter()
            .map(|step| step.name)
            .collect()
    }

    #[test]
    fn flags_select_steps_in_table_order() {
        assert_eq!(names(&[]).len(), STEPS.len());
        assert_eq!(names(&["--only", "tidy,fmt"]), ["fmt", "tidy"]);
        assert_eq!(names(&["--from", "test"]), ["test"]);
        assert!(select(&["--only", "fnt"]).is_err());
        assert!(select(&["fmt"]).is_err());
    }

    #[test]
    fn names_are_unique() {
        for (at, step) in STEPS.iter().enumerate() {
            assert_eq!(position(step.name).expect("own name"), at);
        }
    }

    #[test]
    fn the_table_lists_skipped_and_unrun_steps() {
        let line = |name, end, note: &str| Line {
            name,
            end,
            time: Duration::from_millis(1500),
            note: note.to_owned(),
        };
        let lines = [
            line("fmt", End::Skipped, "skipped: no rustfmt"),
            line("tidy", End::Failed, "a.rs"),
        ];
        assert_eq!(
            table(&lines, 3, Duration::from_secs(3)),
            "\n=== summary\n\
             fmt       skip      1.5 s  skipped: no rustfmt\n\
             tidy      FAIL      1.5 s  a.rs\n\
             total     FAIL      3.0 s  1 steps not run\n"
        );
    }
}
