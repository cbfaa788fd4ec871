//! Changes the libraries' code in a copy of the project, one place at a time, and expects a test
//! to fail: with cargo-mutants.
//!
//! Each mutant meets the fast tests of its own package. Those that pass meet tests of the whole
//! project. One that passes these too is a survivor: it is listed in `docs/mutants.md` with the
//! reason why it cannot matter, or a test is missing.
//!
//! Not a step of ci, because each mutant is compiled.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use xshell::{Shell, cmd};

use crate::installed::has;
use crate::step::Outcome;
use crate::{copy, metadata};

const USAGE: &str = "\
usage: cargo xtask mutants [analysis|image-builder|apply] [--shard K/N]

Tests each mutant of one library, or of all. With --shard, every N-th of them, from the K-th on
(K from 0). `.cargo/mutants.toml` says which code has none.
";

/// The survivors that are known, and why they cannot matter.
const KNOWN: &str = "docs/mutants.md";

/// How long the tests of a mutant may take, since some loop forever: a multiple of the time
/// without a mutant, and at least so many seconds.
const TIMEOUT: [&str; 4] = ["--timeout-multiplier", "5", "--minimum-test-timeout", "60"];

/// Exit codes of cargo-mutants: all mutants were caught; some survived; some took too long.
const FINISHED: [i32; 3] = [0, 2, 3];

/// Settings that compile fast, and the numbers of generated cases.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("CARGO_INCREMENTAL", "1"),
    ("CARGO_PROFILE_DEV_DEBUG", "0"),
    ("CARGO_PROFILE_TEST_DEBUG", "0"),
    ("CARGO_PROFILE_TEST_OPT_LEVEL", "0"),
    ("PROPTEST_CASES", "64"),
    ("WASM_MEMINIT_CASES", "50"),
];

struct Library {
    folder: &'static str,
    /// Arguments of `cargo test`: what takes seconds.
    fast: &'static [&'static str],
    /// Packages, and more arguments: what takes a minute.
    thorough: (&'static [&'static str], &'static [&'static str]),
}

const ORACLE: &str = "wasm-meminit-test-oracle";

/// Of the root package, only `serialized` runs: the tests of the tool take minutes.
const ROOT: &str = "wasm-meminit";

/// The suites of these packages: images, rewrites, serialised values, and what the oracle says.
const SUITES: &[&str] = &[
    "--lib",
    "--test=artifact",
    "--test=differential",
    "--test=forged",
    "--test=hostile",
    "--test=messages",
    "--test=rewrite",
    "--test=serialized",
    "--test=threads",
    "--test=verified",
];

const LIBRARIES: &[Library] = &[
    Library {
        folder: "analysis",
        fast: &["--lib", "--tests"],
        thorough: (&["wasm-meminit-image-builder", ORACLE, ROOT], SUITES),
    },
    Library {
        folder: "image-builder",
        fast: &["--lib", "--tests"],
        thorough: (&["wasm-meminit-image-builder", ORACLE, ROOT], SUITES),
    },
    Library {
        folder: "apply",
        fast: &[
            "--lib",
            "--test=model",
            "--test=prepared",
            "--test=pool",
            "--test=pool_order",
        ],
        thorough: (&["wasm-meminit-apply"], &["--lib", "--tests"]),
    },
];

/// What became of the mutants of a library.
#[derive(Debug, Default, PartialEq, Eq)]
struct Results {
    n_caught: usize,
    n_unviable: usize,
    n_known: usize,
    /// Those without a result: they loop forever, or the machine was too slow.
    timeouts: Vec<String>,
    /// Those that no page explains.
    missed: Vec<String>,
}

pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let (libraries, shard) = parse(args)?;
    if !has(sh, &["cargo", "mutants"]) {
        let reason = "cargo-mutants is not installed\nhint: cargo install cargo-mutants --locked";
        println!("{}", Outcome::Skipped(reason.to_owned()));
        return Ok(());
    }
    let folder = metadata::target_directory(sh)?.join("mutants");
    let tree = folder.join("tree");
    let known = fs::read_to_string(sh.current_dir().join(KNOWN))?;
    let mut n_missed = 0;
    for library in libraries {
        copy::files(sh, &sh.current_dir(), &tree)?;
        let output = folder.join(library.folder);
        let results = run(sh, library, shard, &folder, &output, &known)?;
        println!(
            "{}: {} caught; {} do not compile; {} known to survive, {} others; {} out of time",
            library.folder,
            results.n_caught,
            results.n_unviable,
            results.n_known,
            results.missed.len(),
            results.timeouts.len()
        );
        for mutant in &results.missed {
            println!("    {mutant}");
        }
        for mutant in &results.timeouts {
            println!("    not judged, endless or too slow: {mutant}");
        }
        n_missed += results.missed.len();
    }
    ensure!(
        n_missed == 0,
        "{n_missed} mutants survive that {KNOWN} does not explain"
    );
    Ok(())
}

fn parse(args: &[String]) -> anyhow::Result<(Vec<&'static Library>, Option<&str>)> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (name, shard) = match *args.as_slice() {
        [] => (None, None),
        ["--shard", shard] => (None, Some(shard)),
        [name] => (Some(name), None),
        [name, "--shard", shard] => (Some(name), Some(shard)),
        _ => bail!(USAGE),
    };
    let libraries = LIBRARIES.iter();
    let libraries = libraries.filter(|it| name.is_none_or(|name| name == it.folder));
    let libraries: Vec<_> = libraries.collect();
    if libraries.is_empty() {
        bail!(USAGE);
    }
    Ok((libraries, shard))
}

fn run(
    sh: &Shell,
    library: &Library,
    shard: Option<&str>,
    folder: &Path,
    output: &Path,
    known: &str,
) -> anyhow::Result<Results> {
    // `--iterate` would skip what an earlier run caught, perhaps with other tests.
    if output.exists() {
        fs::remove_dir_all(output)?;
    }
    fs::create_dir_all(output)?;
    let mut results = Results::default();
    let (packages, more) = library.thorough;
    let survivors = mutants(sh, library, shard, folder, output, &[], library.fast)?;
    results.add(output)?;
    if survivors {
        let packages: Vec<_> = packages
            .iter()
            .flat_map(|it| ["--test-package", *it])
            .collect();
        let options = [&["--iterate"], packages.as_slice()].concat();
        mutants(sh, library, shard, folder, output, &options, more)?;
        results.add(output)?;
    }
    results.judge(lines(output, "missed")?, known);
    Ok(results)
}

/// Runs cargo-mutants, and returns whether there are survivors.
fn mutants(
    sh: &Shell,
    library: &Library,
    shard: Option<&str>,
    folder: &Path,
    output: &Path,
    options: &[&str],
    tests: &[&str],
) -> anyhow::Result<bool> {
    let tree = folder.join("tree");
    let package = format!("wasm-meminit-{}", library.folder);
    let shard = shard.iter().flat_map(|it| ["--shard", *it]);
    let command = cmd!(
        sh,
        "cargo mutants --in-place --dir {tree} --output {output} --package {package}
            --all-features --sharding round-robin {TIMEOUT...} {shard...} {options...} -- {tests...}"
    );
    // Its own, for these settings compile everything again.
    let command = command.env("CARGO_TARGET_DIR", folder.join("target"));
    let mut command = Command::from(command.envs(ENVIRONMENT.iter().copied()));
    let status = command.status()?;
    let code = status.code().filter(|it| FINISHED.contains(it));
    let code = code.with_context(|| format!("cargo-mutants failed: {status}"))?;
    Ok(code != 0)
}

impl Results {
    /// Adds what the last run found.
    fn add(&mut self, output: &Path) -> anyhow::Result<()> {
        let [caught, unviable, missed, timeouts] =
            ["caught", "unviable", "missed", "timeout"].map(|list| lines(output, list));
        let (caught, unviable) = (caught?, unviable?);
        self.n_caught += caught.len();
        self.n_unviable += unviable.len();
        self.time_out(timeouts?, &[caught, unviable, missed?].concat());
        Ok(())
    }

    /// Replaces what was not judged by those of the last run, which judged these mutants.
    fn time_out(&mut self, timeouts: Vec<String>, judged: &[String]) {
        self.timeouts.retain(|it| !judged.contains(it));
        self.timeouts.extend(timeouts);
        self.timeouts.sort();
        self.timeouts.dedup();
    }

    /// Compares the survivors with the page. A row explains one: the same operator elsewhere in
    /// its function needs another.
    fn judge(&mut self, missed: Vec<String>, page: &str) {
        let mut rows: Vec<&str> = page.lines().filter(|it| it.starts_with('|')).collect();
        for mutant in missed {
            match rows.iter().position(|row| explains(row, &mutant)) {
                Some(at) => {
                    rows.swap_remove(at);
                    self.n_known += 1;
                }
                None => self.missed.push(mutant),
            }
        }
    }
}

/// Returns the mutants that cargo-mutants lists in one of its files.
fn lines(output: &Path, list: &str) -> anyhow::Result<Vec<String>> {
    let file = output.join("mutants.out").join(list).with_extension("txt");
    Ok(fs::read_to_string(file)?
        .lines()
        .map(str::to_owned)
        .collect())
}

/// Whether a row of the page names the mutant: its file, and what was replaced.
fn explains(row: &str, mutant: &str) -> bool {
    let mut parts = mutant.splitn(4, ':');
    let (Some(file), Some(replaced)) = (parts.next(), parts.nth(2)) else {
        return false;
    };
    // In a table, a bar is escaped.
    let replaced = format!("`{}`", replaced.trim().replace('|', "\\|"));
    let file = format!("`{file}`");
    row.contains(&file) && row.contains(&replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_select_libraries() {
        let select = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            parse(&args).map(|(libraries, shard)| (libraries.len(), shard.map(str::to_owned)))
        };
        assert_eq!(select(&[]).expect("all"), (3, None));
        let shard = Some("1/4".to_owned());
        assert_eq!(
            select(&["--shard", "1/4"]).expect("all"),
            (3, shard.clone())
        );
        assert_eq!(
            select(&["apply", "--shard", "1/4"]).expect("one"),
            (1, shard)
        );
        assert!(select(&["oracle"]).is_err());
        assert!(select(&["apply", "1/4"]).is_err());
    }

    #[test]
    fn a_survivor_is_known_by_file_and_mutation() {
        let page = "text\n| `a/src/b.rs` | `c` | `replace || with && in c` | why |\n";
        let page = page.replace("||", "\\|\\|");
        let judge = |missed: &[&str]| {
            let mut results = Results::default();
            results.judge(missed.iter().map(ToString::to_string).collect(), &page);
            (results.n_known, results.missed)
        };
        let known = "a/src/b.rs:12:5: replace || with && in c";
        assert_eq!(judge(&[known]), (1, vec![]));
        // A second operator of the function needs a second row.
        let same = "a/src/b.rs:13:5: replace || with && in c";
        assert_eq!(judge(&[known, same]), (1, vec![same.to_owned()]));
        for other in [
            "a/src/b.rs:12:5: replace || with && in d",
            "a/src/d.rs:12:5: replace || with && in c",
            "no mutant",
        ] {
            assert_eq!(judge(&[other]), (0, vec![other.to_owned()]));
        }
    }

    #[test]
    fn a_timeout_is_no_verdict() {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut results = Results::default();
        results.time_out(list(&["a", "b", "c"]), &[]);
        // The second run judges one of them, and one is too slow again.
        results.time_out(list(&["b"]), &list(&["a"]));
        assert_eq!(results.timeouts, ["b", "c"]);
        assert_eq!(results.n_caught, 0);
    }

    #[test]
    fn every_known_survivor_is_of_a_function_that_exists() {
        let page = fs::read_to_string(crate::root().join(KNOWN)).expect("a page");
        let mut n_rows = 0;
        for row in page.lines().filter(|it| it.starts_with("| `")) {
            let mut cells = row.split('`').skip(1).step_by(2);
            let (Some(file), Some(function)) = (cells.next(), cells.next()) else {
                panic!("a row without a file and a function: {row}");
            };
            let source = fs::read_to_string(crate::root().join(file)).expect(file);
            assert!(source.contains(&format!("fn {function}")), "{row}");
            n_rows += 1;
        }
        assert_ne!(n_rows, 0);
    }
}
