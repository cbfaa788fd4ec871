//! Compiles and runs suites of the copy.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use core::time::Duration;
#[cfg(test)]
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;
use xshell::Shell;

use crate::{metadata, paths};

/// A test that takes this long counts as failed: it may run forever.
const DEADLINE: Duration = Duration::from_secs(180);

/// A target of cargo that has tests.
#[derive(Debug)]
struct Suite {
    package: String,
    kind: Kind,
    name: String,
    /// Its first file, and the folder of its package, in the copy.
    source: PathBuf,
    folder: PathBuf,
    /// Whether its package is a default member of the workspace. The others need an engine.
    is_default: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lib,
    Bin,
    Test,
    Bench,
}

/// A test of a suite, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) path: Option<&'static str>,
    pub(super) suite: Place,
    /// Its function's name or, of a bench, that of a row.
    pub(super) name: &'static str,
}

/// The position of a suite in the list of them, and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(usize, &'static str);

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.path.is_some() { "@" } else { "" };
        let path = self.path.unwrap_or_default();
        write!(f, "{}{at}{path} {}", self.suite.1, self.name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passes,
    Fails,
    /// A failed build would be no evidence that the test notices.
    NoBuild,
    /// No test, or several, have this name.
    NoTest,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passes => "PASSES",
            Self::Fails => "fails",
            Self::NoBuild => "NO BUILD",
            Self::NoTest => "NO TEST",
        })
    }
}

/// The suites of all packages.
#[derive(Debug)]
pub(super) struct Suites {
    list: Vec<Suite>,
    /// For each path for another system, cargo's list of features.
    paths: BTreeMap<&'static str, String>,
    copy: PathBuf,
    target: PathBuf,
}

impl Suites {
    pub(super) fn new(sh: &Shell, copy: PathBuf, target: PathBuf) -> anyhow::Result<Self> {
        let _copy = sh.push_dir(&copy);
        let json = metadata::workspace(sh)?;
        let default = json["workspace_default_members"].as_array();
        let default = default.context("cargo metadata lists no default members")?;
        let packages = json["packages"].as_array();
        let packages = packages.context("cargo metadata lists no packages")?;
        let suites = |it| suites_of(it, default.contains(&it["id"]));
        let list = packages.iter().filter_map(suites).flatten().collect();
        let members = metadata::packages(sh)?;
        let features = |path| (path, paths::features(&members, &format!("test-{path}")));
        let paths = ["portable", "unix"].into_iter().map(features).collect();
        Ok(Self {
            list,
            paths,
            copy,
            target,
        })
    }

    /// Returns the suite with a name, as in [`Fix::tests`](super::fix::Fix).
    pub(super) fn find(&self, own: &str, name: &'static str) -> Option<Place> {
        let (package, suite) = match name.split_once('/') {
            Some((package, suite)) => (Some(package), suite),
            None => (None, name),
        };
        let is_named = |it: &Suite| match suite {
            "lib" => it.kind == Kind::Lib,
            "bin" => it.kind == Kind::Bin,
            _ => it.name == suite && matches!(it.kind, Kind::Test | Kind::Bench),
        };
        let of = |package: &str| {
            let mut list = self.list.iter();
            list.position(|it| it.package == package && is_named(it))
        };
        let any = || {
            self.list
                .iter()
                .position(|it| it.is_default && is_named(it))
        };
        let at = match package {
            Some(package) => of(package),
            None => of(own).or_else(any),
        };
        Some(Place(at?, name))
    }

    /// Returns whether a file of the suite has a test with this name.
    #[cfg(test)]
    pub(super) fn contains(&self, test: &Test) -> bool {
        let suite = &self.list[test.suite.0];
        let text = match suite.kind {
            Kind::Bench => format!("name: \"{}\"", test.name),
            _ => format!("fn {}(", test.name),
        };
        let file = self.copy.join(&suite.source);
        let is_whole_folder = suite.kind != Kind::Test && suite.kind != Kind::Bench
            || file.file_name().is_some_and(|it| it == "main.rs");
        match file.parent() {
            Some(folder) if is_whole_folder => is_in_folder(folder, &text),
            _ => fs::read_to_string(&file).is_ok_and(|it| it.contains(&text)),
        }
    }

    /// Compiles the suites of these tests, and runs each test on its own.
    pub(super) fn run(
        &self,
        tests: impl IntoIterator<Item = Test>,
    ) -> anyhow::Result<Vec<(Test, Verdict)>> {
        let mut verdicts = Vec::new();
        let mut tests: Vec<Test> = tests.into_iter().collect();
        tests.sort();
        for tests in tests.chunk_by(|a, b| self.selection(a) == self.selection(b)) {
            let executables = self.build(tests)?;
            for test in tests {
                let verdict = match &executables {
                    None => Verdict::NoBuild,
                    Some(all) => self.verdict(test, all.get(&test.suite))?,
                };
                verdicts.push((*test, verdict));
            }
        }
        Ok(verdicts)
    }

    /// Returns what cargo compiles at once: the path for another system, or the package if it is
    /// no default member.
    fn selection(&self, test: &Test) -> (Option<&str>, Option<&str>) {
        let suite = &self.list[test.suite.0];
        (test.path, (!suite.is_default).then_some(&suite.package))
    }

    /// Compiles the suites of tests of one selection. `None` if that fails.
    fn build(&self, tests: &[Test]) -> anyhow::Result<Option<BTreeMap<Place, PathBuf>>> {
        let places: BTreeSet<Place> = tests.iter().map(|it| it.suite).collect();
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", &self.target)
            // One crate after the other changes a little.
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_TEST_DEBUG", "false")
            .args(["test", "--quiet", "--no-run"])
            .args(["--message-format", "json-render-diagnostics"]);
        // All default members, as in ci: with fewer of them, cargo would compile dependencies
        // again for the features that are left.
        match tests.first().map(|it| self.selection(it)) {
            Some((_, Some(package))) => cargo.args(["--all-features", "--package", package]),
            Some((Some(path), _)) => cargo.args(["--features", &self.paths[path]]),
            _ => cargo.arg("--all-features"),
        };
        let targets: BTreeSet<[&str; 2]> = places.iter().map(|it| self.argument(*it)).collect();
        cargo.args(targets.iter().flatten().filter(|it| !it.is_empty()));
        let output = cargo.output()?;
        if !output.status.success() {
            print!("{}", errors(&String::from_utf8_lossy(&output.stderr)));
            return Ok(None);
        }
        let messages = String::from_utf8(output.stdout)?;
        let mut executables = BTreeMap::new();
        for message in messages.lines() {
            let Ok(message) = serde_json::from_str::<Value>(message) else {
                continue;
            };
            let is_test = message["profile"]["test"] == true;
            let (Some(executable), true) = (message["executable"].as_str(), is_test) else {
                continue;
            };
            let source = message["target"]["src_path"].as_str().map(Path::new);
            let is_of =
                |at: usize| source.is_some_and(|it| it == self.copy.join(&self.list[at].source));
            for place in places.iter().filter(|place| is_of(place.0)) {
                executables.insert(*place, PathBuf::from(executable));
            }
        }
        ensure!(
            executables.len() == places.len(),
            "cargo names no executable of one of {places:?}"
        );
        Ok(Some(executables))
    }

    /// Returns cargo's argument for a suite. Suites of one name share it.
    fn argument(&self, suite: Place) -> [&str; 2] {
        let suite = &self.list[suite.0];
        let option = match suite.kind {
            Kind::Lib => return ["--lib", ""],
            Kind::Bin => "--bin",
            Kind::Test => "--test",
            Kind::Bench => "--bench",
        };
        [option, &suite.name]
    }

    fn verdict(&self, test: &Test, executable: Option<&PathBuf>) -> anyhow::Result<Verdict> {
        let suite = &self.list[test.suite.0];
        let executable = executable.context("a suite that was compiled")?;
        let folder = self.copy.join(&suite.folder);
        let mut command = Command::new(executable);
        command
            .current_dir(&folder)
            .env("CARGO_MANIFEST_DIR", &folder)
            // What cargo sets for the tests of the fix would be found by this process's own.
            .env_remove("CARGO_TARGET_DIR");
        if suite.kind == Kind::Bench {
            command.arg(test.name);
        } else {
            let Some(name) = full_name(executable, test.name)? else {
                return Ok(Verdict::NoTest);
            };
            command.args(["--exact", &name]);
        }
        // The output of a failing test is of no interest.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(match passes(command.spawn()?)? {
            true => Verdict::Passes,
            false => Verdict::Fails,
        })
    }
}

/// Returns the first lines of each error, without warnings.
fn errors(text: &str) -> String {
    const LINES: usize = 8;
    let is_error = |it: &str| it.starts_with("error");
    let lines: Vec<&str> = text.lines().collect();
    let errors = (0..lines.len()).filter(|at| is_error(lines[*at]));
    let shown = errors.flat_map(|at| lines[at..].iter().take(LINES));
    shown.map(|line| format!("        {line}\n")).collect()
}

/// Returns the suites of a package, unless cargo's answer is incomplete.
fn suites_of(package: &Value, is_default: bool) -> Option<Vec<Suite>> {
    let manifest = Path::new(package["manifest_path"].as_str()?);
    let suite = |target: &Value| {
        let kind = match target["kind"][0].as_str()? {
            "lib" => Kind::Lib,
            "bin" => Kind::Bin,
            "test" => Kind::Test,
            "bench" => Kind::Bench,
            _ => return None,
        };
        Some(Suite {
            package: package["name"].as_str()?.to_owned(),
            kind,
            name: target["name"].as_str()?.to_owned(),
            source: target["src_path"].as_str()?.into(),
            folder: manifest.parent()?.to_owned(),
            is_default,
        })
    };
    Some(
        package["targets"]
            .as_array()?
            .iter()
            .filter_map(suite)
            .collect(),
    )
}

#[cfg(test)]
fn is_in_folder(folder: &Path, text: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|it| it.path()).any(|path| match path.is_dir() {
        true => is_in_folder(&path, text),
        false => fs::read_to_string(&path).is_ok_and(|it| it.contains(text)),
    })
}

/// Returns the name of the only test whose function has this name, with its modules.
fn full_name(executable: &Path, function: &str) -> anyhow::Result<Option<String>> {
    let output = Command::new(executable)
        .args(["--list", "--format", "terse"])
        .output()?;
    let list = String::from_utf8(output.stdout)?;
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let is_it = |name: &&str| {
        let outer = name.strip_suffix(function);
        outer.is_some_and(|it| it.is_empty() || it.ends_with("::"))
    };
    let mut matching = names.filter(is_it);
    Ok(match (matching.next(), matching.next()) {
        (Some(only), None) => Some(only.to_owned()),
        _ => None,
    })
}

/// Returns whether a process exits successfully before the deadline.
fn passes(mut child: Child) -> anyhow::Result<bool> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if DEADLINE < start.elapsed() {
            let started = started_by(child.id());
            child.kill()?;
            child.wait()?;
            // A bench that measures a row in a process of its own would go on for an hour.
            for id in started {
                Command::new("kill").args(["-KILL", &id]).status()?;
            }
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the processes that a process has started, and those that they have: `pgrep`, where it is
/// installed.
fn started_by(id: impl ToString) -> Vec<String> {
    let children = Command::new("pgrep").args(["-P", &id.to_string()]).output();
    let children = children.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
    let mut all = Vec::new();
    for child in children.unwrap_or_default().lines() {
        all.extend(started_by(child));
        all.push(child.to_owned());
    }
    all
}

#[cfg(all(test, unix))]
#[test]
fn processes_are_found_through_others() {
    let mut shell = Command::new("sh")
        .args(["-c", "sh -c 'echo ready; sleep 100; true'; true"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut line = String::new();
    let stdout = shell.stdout.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
    let started = started_by(shell.id());
    shell.kill().expect("running");
    shell.wait().expect("killed");
    for id in &started {
        Command::new("kill")
            .args(["-KILL", id])
            .status()
            .expect("kill");
    }
    let has_pgrep = Command::new("pgrep").arg("--version").output().is_ok();
    // The inner shell, and perhaps `sleep` already.
    assert!(!has_pgrep || !started.is_empty(), "{started:?}");
}
