//! Takes each cure of `tests/cures.toml` out of a copy of the project, and expects the
//! tests that it names to fail.
//!
//! No step of ci: each cure compiles the run-time crate again. That the list fits the
//! source is a unit test, and so a step of it.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use xshell::{Shell, cmd};

const LIST: &str = "tests/cures.toml";
const COPY: &str = "target/cures";

/// A test that takes so long has failed: it may run for ever.
const DEADLINE: Duration = Duration::from_secs(180);

#[derive(Debug, Deserialize)]
struct List {
    cure: Vec<Cure>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cure {
    what: String,
    file: String,
    take: String,
    put: String,
    tests: Vec<String>,
}

impl Cure {
    /// The file's text without the cure.
    fn without(&self, text: &str) -> anyhow::Result<String> {
        let n = text.matches(&self.take).count();
        ensure!(n == 1, "{}: found {n} times: {}", self.file, self.take);
        Ok(text.replacen(&self.take, &self.put, 1))
    }

    /// Each test: what names its binary to cargo, and the test to the binary.
    fn tests(&self) -> impl Iterator<Item = (Vec<&str>, &str)> {
        self.tests.iter().map(|test| match test.split_once(' ') {
            Some(("lib", name)) => (vec!["--lib"], name),
            Some((file, name)) => (vec!["--test", file], name),
            None => (vec!["--tests"], test.as_str()),
        })
    }
}

/// With arguments, only cures in whose text one of them occurs.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let root = sh.current_dir();
    let copy = root.join(COPY).join("tree");
    copy_files(sh, &root, &copy)?;
    let list = read_list(&root)?;
    let is_wanted =
        |cure: &Cure| args.is_empty() || args.iter().any(|arg| cure.what.contains(arg.as_str()));
    let mut n_missed = 0;
    for cure in list.cure.iter().filter(|cure| is_wanted(cure)) {
        println!("without: {}", cure.what);
        let file = copy.join(&cure.file);
        let text = fs::read_to_string(&file)?;
        fs::write(&file, cure.without(&text)?)?;
        let found = run_tests(&copy, cure);
        fs::write(&file, text)?;
        n_missed += found?;
    }
    ensure!(n_missed == 0, "{n_missed} tests passed without the cure");
    Ok(())
}

/// Returns how many tests passed.
fn run_tests(copy: &Path, cure: &Cure) -> anyhow::Result<u64> {
    let mut n_missed = 0;
    for (binary, name) in cure.tests() {
        let mut test = Command::new(build(copy, &binary)?);
        test.current_dir(copy.join("apply"))
            .arg(name)
            // What it says while it fails is of no interest.
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let passed = passes(test.spawn()?)?;
        let verdict = if passed { "PASSES" } else { "fails" };
        println!("    {verdict:<7} {} {name}", binary.join(" "));
        n_missed += u64::from(passed);
    }
    Ok(n_missed)
}

/// Compiles a test binary, and returns where it is.
fn build(copy: &Path, binary: &[&str]) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.with_file_name("target"))
        .env("RUSTFLAGS", "--cap-lints allow")
        .args(["test", "--quiet", "--package", "wasm-meminit-apply"])
        .args(["--all-features", "--no-run", "--message-format", "json"])
        .args(binary)
        .stderr(Stdio::inherit());
    let output = cargo.output()?;
    // What does not compile would fail for another reason.
    ensure!(
        output.status.success(),
        "without the cure it does not compile"
    );
    let messages = String::from_utf8(output.stdout)?;
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    executable.context("cargo names no executable")
}

/// Whether a process ends well, and in time.
fn passes(mut child: Child) -> anyhow::Result<bool> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if DEADLINE < start.elapsed() {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn read_list(root: &Path) -> anyhow::Result<List> {
    let text = fs::read_to_string(root.join(LIST)).context(LIST)?;
    toml::from_str(&text).context(LIST)
}

/// Copies every file of the project as it is now. Those that are the same stay, so that
/// cargo need not compile them again.
fn copy_files(sh: &Shell, root: &Path, copy: &Path) -> anyhow::Result<()> {
    let list = cmd!(sh, "git ls-files -z --cached --others --exclude-standard");
    let list = list.quiet().read()?;
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root.join(name), copy.join(name));
        // Listed, yet deleted.
        let Ok(bytes) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        let folder = to.parent().map(PathBuf::from);
        let Some(folder) = folder else {
            bail!("{name} is in no folder");
        };
        fs::create_dir_all(folder)?;
        fs::write(&to, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cure_is_in_its_file_once_and_its_tests_exist() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a workspace");
        let list = read_list(root).expect("a list");
        for cure in &list.cure {
            let text = fs::read_to_string(root.join(&cure.file)).expect("its file");
            let without = cure.without(&text).expect("it is there once");
            assert_ne!(without, text, "{}", cure.what);
            assert!(!cure.tests.is_empty(), "{}", cure.what);
            for (binary, name) in cure.tests() {
                let folder = root.join("apply");
                let files = match *binary.as_slice() {
                    [_, file] => vec![
                        folder.join(format!("tests/{file}.rs")),
                        folder.join(format!("tests/{file}/main.rs")),
                    ],
                    _ => vec![root.join(&cure.file)],
                };
                let found = files.iter().any(|file| {
                    fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}(")))
                });
                assert!(found, "{}: no test {name}", cure.what);
            }
        }
    }
}
