//! Reverts each fix of `revert_fixes/list.rs` in a copy of the project, and expects the tests
//! that it names to fail.
//!
//! This is not a step of ci, because each fix compiles the run-time crate again. A unit test
//! checks that the list matches the source, and that is part of ci.

mod list;

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};
use xshell::Shell;

use self::list::{FIXES, Fix};
use crate::copy;

const COPY: &str = "target/revert-fixes";

/// A test that takes this long counts as failed: it may run forever.
const DEADLINE: Duration = Duration::from_secs(180);

impl Fix {
    /// Returns the file's text without the fix.
    fn without(&self, text: &str) -> anyhow::Result<String> {
        let n = text.matches(self.take).count();
        ensure!(n == 1, "{}: found {n} times: {}", self.file, self.take);
        Ok(text.replacen(self.take, self.put, 1))
    }

    /// Returns, for each test, cargo's arguments for its binary, and the name of the test.
    fn tests(&self) -> impl Iterator<Item = (Vec<&'static str>, &'static str)> {
        self.tests.iter().map(|test| match test.split_once(' ') {
            Some(("lib", name)) => (vec!["--lib"], name),
            Some((file, name)) => (vec!["--test", file], name),
            None => (vec!["--tests"], *test),
        })
    }
}

/// With arguments, reverts only the fixes whose description contains one of them.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let root = sh.current_dir();
    let copy = root.join(COPY).join("tree");
    copy::files(sh, &root, &copy)?;
    let is_wanted =
        |fix: &Fix| args.is_empty() || args.iter().any(|arg| fix.what.contains(arg.as_str()));
    let mut n_missed = 0;
    for fix in FIXES.iter().filter(|fix| is_wanted(fix)) {
        println!("without: {}", fix.what);
        let file = copy.join(fix.file);
        let text = fs::read_to_string(&file)?;
        fs::write(&file, fix.without(&text)?)?;
        let found = run_tests(&copy, fix);
        fs::write(&file, text)?;
        n_missed += found?;
    }
    ensure!(n_missed == 0, "{n_missed} tests passed without the fix");
    Ok(())
}

/// Returns how many tests passed, although the fix was reverted.
fn run_tests(copy: &Path, fix: &Fix) -> anyhow::Result<u64> {
    let mut n_missed = 0;
    for (binary, name) in fix.tests() {
        let mut test = Command::new(build(copy, &binary)?);
        test.current_dir(copy.join("apply"))
            .arg(name)
            // The output of a failing test is of no interest.
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let passed = passes(test.spawn()?)?;
        let verdict = if passed { "PASSES" } else { "fails" };
        println!("    {verdict:<7} {} {name}", binary.join(" "));
        n_missed += u64::from(passed);
    }
    Ok(n_missed)
}

/// Compiles a test binary and returns its path.
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
    // A build failure would be no evidence that the test notices.
    ensure!(
        output.status.success(),
        "it does not compile without the fix"
    );
    let messages = String::from_utf8(output.stdout)?;
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    executable.context("cargo names no executable")
}

/// Whether a process exits successfully before the deadline.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fix_is_in_its_file_once_and_its_tests_exist() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a workspace");
        for fix in FIXES {
            let text = fs::read_to_string(root.join(fix.file)).expect("the file");
            let without = fix.without(&text).expect("it occurs once");
            assert_ne!(without, text, "{}", fix.what);
            assert!(!fix.tests.is_empty(), "{}", fix.what);
            for (binary, name) in fix.tests() {
                let folder = root.join("apply");
                let files = match *binary.as_slice() {
                    [_, file] => vec![
                        folder.join(format!("tests/{file}.rs")),
                        folder.join(format!("tests/{file}/main.rs")),
                    ],
                    _ => vec![root.join(fix.file)],
                };
                let found = files.iter().any(|file| {
                    fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}(")))
                });
                assert!(found, "{}: no test {name}", fix.what);
            }
        }
    }
}
