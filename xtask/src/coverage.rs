//! Line coverage of the libraries by the ordinary tests, compared with a goal for each.
//!
//! Not a step of ci: everything is built again with instrumentation.

mod lcov;
mod test_code;

use std::fs;
use std::path::Path;

use anyhow::{bail, ensure};
use xshell::{Shell, cmd};

use self::lcov::Lines;
use crate::installed::{has, has_llvm_tools};
use crate::step::{self, Outcome};
use crate::{metadata, paths};

/// A library's folder, and the percentage of its lines that tests must run.
const GOALS: &[(&str, usize)] = &[
    ("analysis", 95),
    ("image-builder", 95),
    ("apply", 92),
    ("engines/c", 90),
];

/// A default member of the workspace whose tests run none of the libraries.
const NOT_RUN: &str = "xtask";

/// Not a default member, since only a C compiler uses it.
const C_API: &str = "wasm-meminit-c";

/// Tests that cannot work with instrumentation, and why.
const SKIPPED: &[(&str, &str)] = &[
    (
        "a_limit_on_file_sizes_is_kept",
        "it limits the sizes of files, also that of the profile",
    ),
    (
        "a_write_that_fails_half_way_leaves_the_old_file",
        "likewise",
    ),
    (
        "the_last_of_ten_thousand_resets_costs_no_more_than_the_first",
        "it compares times, for minutes",
    ),
    (
        "valgrind_finds_nothing",
        "valgrind objects to how a dependency reads the auxiliary vector, if that is instrumented",
    ),
];

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    ensure!(args.is_empty(), "usage: cargo xtask coverage");
    step::alone(sh, run)
}

fn run(sh: &Shell) -> anyhow::Result<Outcome> {
    if let Some(missing) = missing(sh)? {
        return Ok(Outcome::Skipped(missing));
    }
    // What an earlier state of the sources left would be counted, too.
    cmd!(sh, "cargo llvm-cov clean --workspace").run()?;
    for (test, why) in SKIPPED {
        println!("not run: {test}: {why}");
    }
    let skipped = &SKIPPED
        .iter()
        .flat_map(|(test, _)| ["--skip", *test])
        .collect::<Vec<_>>();
    let mut members = metadata::packages(sh)?;
    members.retain(|it| it.name != NOT_RUN);
    let names = members.iter().map(|it| it.name.as_str()).chain([C_API]);
    let packages = &names.flat_map(|it| ["--package", it]).collect::<Vec<_>>();
    cmd!(
        sh,
        "cargo llvm-cov test --no-report --no-fail-fast {packages...} --all-features
            -- {skipped...}"
    )
    .run()?;
    // Code for another system is compiled with these features only.
    for path in paths::PATHS {
        let suites = paths::suites().flat_map(|suite| ["--test", suite]);
        let features = paths::features(&members, path);
        cmd!(
            sh,
            "cargo llvm-cov test --no-report --no-fail-fast {packages...} --features {features}
                {suites...} -- {skipped...}"
        )
        .run()?;
    }
    let folder = metadata::target_directory(sh)?.join("coverage");
    fs::create_dir_all(&folder)?;
    let file = folder.join("lines.lcov");
    // Tests kill processes, whose profiles are then unfinished: those are left out.
    cmd!(
        sh,
        "cargo llvm-cov report --failure-mode all {packages...} --lcov --output-path {file}"
    )
    .run()?;
    let report = fs::read_to_string(&file)?;
    let lines = of_the_libraries(&sh.current_dir(), &report)?;
    let list = folder.join("uncovered.txt");
    fs::write(&list, uncovered(&lines))?;
    println!("uncovered lines: {}", list.display());
    let (table, n_missed) = table(&lines)?;
    print!("{table}");
    ensure!(n_missed == 0, "{n_missed} libraries are below their goals");
    Ok(Outcome::Passed(String::new()))
}

/// Returns what the run needs and this machine lacks.
fn missing(sh: &Shell) -> anyhow::Result<Option<String>> {
    if !has(sh, &["cargo", "llvm-cov"]) {
        return Ok(Some(
            "cargo-llvm-cov is not installed\nhint: cargo install cargo-llvm-cov --locked"
                .to_owned(),
        ));
    }
    Ok((!has_llvm_tools(sh)?).then(|| {
        "the toolchain has no llvm-profdata, and LLVM_COV and LLVM_PROFDATA name none\n\
         hint: rustup component add llvm-tools"
            .to_owned()
    }))
}

/// Returns the lines of the report that are in a library, but not in its unit tests.
fn of_the_libraries(root: &Path, report: &str) -> anyhow::Result<Vec<Lines>> {
    let mut files = Vec::new();
    for (path, mut lines) in lcov::parse(report)? {
        let Ok(name) = Path::new(&path).strip_prefix(root) else {
            continue;
        };
        let name = name.to_string_lossy().replace('\\', "/");
        if GOALS.iter().all(|(folder, _)| !is_in(&name, folder)) {
            continue;
        }
        let tests = test_code::lines(root, &name)?;
        lines.retain(|number, _| !tests.contains(*number));
        files.push(Lines { name, lines });
    }
    Ok(files)
}

fn is_in(name: &str, folder: &str) -> bool {
    name.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with("/src/"))
}

/// Returns the figures of each library, and how many of these are below their goals.
fn table(files: &[Lines]) -> anyhow::Result<(String, usize)> {
    let mut table = String::from("library           lines  covered  percent  goal\n");
    let mut n_missed = 0;
    for (folder, goal) in GOALS {
        let own = files.iter().filter(|it| is_in(&it.name, folder));
        let (n_lines, n_covered) = own.fold((0, 0), |(all, covered), it| {
            (all + it.lines.len(), covered + it.n_covered())
        });
        if n_lines == 0 {
            bail!("the report has no line of {folder}");
        }
        let hundredths = n_covered * 10_000 / n_lines;
        let (whole, rest) = (hundredths / 100, hundredths % 100);
        table.push_str(&format!(
            "{folder:<16}{n_lines:>7}{n_covered:>9}{whole:>6}.{rest:02}{goal:>6}\n"
        ));
        n_missed += usize::from(n_covered * 100 < goal * n_lines);
    }
    Ok((table, n_missed))
}

/// Returns a line for each file that has uncovered lines.
fn uncovered(files: &[Lines]) -> String {
    let files = files.iter().filter(|it| it.n_covered() < it.lines.len());
    files
        .map(|it| format!("{}: {}\n", it.name, it.uncovered()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(name: &str, hits: &[u64]) -> Lines {
        Lines {
            name: name.to_owned(),
            lines: (1..).zip(hits.iter().copied()).collect(),
        }
    }

    #[test]
    fn a_library_meets_its_goal_or_not() {
        let mut files: Vec<_> = GOALS
            .iter()
            .map(|(folder, _)| lines(&format!("{folder}/src/lib.rs"), &[1; 20]))
            .collect();
        assert_eq!(table(&files).expect("lines of each").1, 0);
        files.push(lines("analysis/src/a.rs", &[0, 1]));
        // 21 of 22 are more than 95 %.
        assert_eq!(table(&files).expect("lines of each").1, 0);
        files.push(lines("analysis/src/b.rs", &[0]));
        let (text, n_missed) = table(&files).expect("lines of each");
        assert_eq!(n_missed, 1);
        assert!(text.contains("analysis             23       21    91.30    95\n"));
        assert_eq!(
            uncovered(&files),
            "analysis/src/a.rs: 1\nanalysis/src/b.rs: 1\n"
        );
        files.retain(|it| !it.name.starts_with("apply"));
        assert!(table(&files).is_err());
    }

    #[test]
    fn only_sources_of_libraries_count() {
        assert!(is_in("engines/c/src/ffi/slot.rs", "engines/c"));
        assert!(!is_in("engines/c/tests/header.rs", "engines/c"));
        assert!(!is_in("analysis-more/src/lib.rs", "analysis"));
    }
}
