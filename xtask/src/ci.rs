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
    api, bench, browser, check, cross, doc, docs, examples, features, miri, models, no_std,
    package, paths, test, tidy, tour,
};

/// How long the steps of every change may take on two idle cores, first build included.
const BUDGET: Duration = Duration::from_mins(10);

struct Step {
    name: &'static str,
    about: &'static str,
    run: StepFn,
    /// Only with `--all`: takes long, and finds what a change seldom breaks.
    is_extra: bool,
}

const fn step(name: &'static str, about: &'static str, run: StepFn) -> Step {
    Step {
        name,
        about,
        run,
        is_extra: false,
    }
}

const fn extra(name: &'static str, about: &'static str, run: StepFn) -> Step {
    Step {
        is_extra: true,
        ..step(name, about, run)
    }
}

/// Steps that fail fast come first. Those that share a build follow each other.
const STEPS: &[Step] = &[
    step("fmt", "formatting", check::fmt),
    step(
        "tidy",
        "headers, file lengths, where `unsafe` may be",
        tidy::step,
    ),
    step("links", "links and anchors of all pages", docs::step),
    step("lock", "Cargo.lock is complete", check::lock),
    step(
        "absent",
        "which crates must not depend on which",
        features::absent,
    ),
    step(
        "deny",
        "licences and advisories of dependencies",
        check::deny,
    ),
    step(
        "clippy",
        "all targets, all features, no warnings",
        check::clippy,
    ),
    step("no-std", "the first two crates without `std`", no_std::step),
    step(
        "features",
        "each feature of each library alone, and none",
        features::each_alone,
    ),
    step(
        "cross",
        "the run-time crate, its tests and the tool for other systems",
        cross::step,
    ),
    step("doc", "documentation, no warnings", doc::step),
    step(
        "test",
        "unit, documentation and integration tests",
        test::all,
    ),
    step(
        "growth",
        "no algorithm takes more than n log n",
        bench::growth,
    ),
    step("examples", "each example, to completion", examples::step),
    step(
        "paths",
        "slots and pools on the code paths for other systems",
        paths::step,
    ),
    step("tour", "the README's first command in a clone", tour::step),
    step(
        "package",
        "the published packages have every file they need",
        package::step,
    ),
    extra(
        "generated",
        "ten times as many generated modules, and the rest under every policy",
        test::generated,
    ),
    extra("bench", "the other benches once, as tests", bench::others),
    extra(
        "longer",
        "long sequences of uses on the code paths for other systems",
        paths::models,
    ),
    extra(
        "browser",
        "pages and pictures of the tool, in Chromium",
        browser::step,
    ),
    extra(
        "install",
        "the libraries and the tool, built from their packages",
        package::install,
    ),
    extra("api", "the public API is that of the snapshots", api::step),
    extra(
        "kills",
        "the tool, killed 100 times with each of three signals",
        test::kills,
    ),
    extra(
        "release",
        "library tests without debug assertions",
        test::without_assertions,
    ),
    extra("miri", "portable paths under Miri", miri::step),
    extra(
        "models",
        "the pool's threads in thousands of orders",
        models::step,
    ),
    extra(
        "reference",
        "comparison with the reference's decisions and bytes",
        test::reference,
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
                let all = if step.is_extra { " (--all)" } else { "" };
                println!("{:<9} {}{all}", step.name, step.about);
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
    if args.is_empty() {
        print!("{}", left_out());
    }
    Ok(())
}

/// Names the steps that a run without arguments leaves out. One of them is needed by some changes.
fn left_out() -> String {
    let extra = STEPS.iter().filter(|step| step.is_extra);
    let names: Vec<&str> = extra.map(|step| step.name).collect();
    format!(
        "not run without --all: {}\n\
         a change of a public item needs `cargo xtask api`\n",
        names.join(", ")
    )
}

/// Returns the steps that the flags select; those of every change without a flag.
fn select(args: &[&str]) -> anyhow::Result<Vec<&'static Step>> {
    match *args {
        [] => Ok(STEPS.iter().filter(|step| !step.is_extra).collect()),
        ["--all"] => Ok(STEPS.iter().collect()),
        ["--only", names] => {
            let wanted: Vec<usize> = names.split(',').map(position).collect::<Result<_, _>>()?;
            // In the table's order, not in the order of the arguments.
            let chosen = STEPS
                .iter()
                .enumerate()
                .filter(|(at, _)| wanted.contains(at));
            Ok(chosen.map(|(_, step)| step).collect())
        }
        ["--from", name] => {
            let steps = STEPS[position(name)?..].iter();
            Ok(steps.filter(|step| !step.is_extra).collect())
        }
        _ => bail!("usage: cargo xtask ci [--all | --list | --only STEP,STEP | --from STEP]"),
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
        let budget = BUDGET.as_secs();
        out.push_str(&format!("  more than the {budget} s on two idle cores"));
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
        assert_eq!(names(&["--all"]).len(), STEPS.len());
        assert!(names(&[]).len() < STEPS.len());
        assert_eq!(names(&["--only", "tidy,fmt"]), ["fmt", "tidy"]);
        assert_eq!(names(&["--from", "tour"]), ["tour", "package"]);
        assert!(select(&["--only", "fnt"]).is_err());
        assert!(select(&["fmt"]).is_err());
    }

    #[test]
    fn what_is_left_out_is_said() {
        let said = left_out();
        assert!(said.contains(", api, "), "{said}");
        assert!(!said.contains("test,"), "{said}");
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
