//! Runs tests, forwards their output, and counts them for the summary.

use core::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use xshell::{Cmd, Shell, cmd};

use crate::step::{LIBRARIES, Outcome};

/// Every default member: unit, documentation and integration tests.
pub(crate) fn all(sh: &Shell) -> anyhow::Result<Outcome> {
    let counts = counted(cmd!(sh, "cargo test --all-features"))?;
    Ok(Outcome::Passed(counts.to_string()))
}

/// Tests the libraries without debug assertions: their correctness must not depend on a
/// `debug_assert!` or an overflow check.
pub(crate) fn release(sh: &Shell) -> anyhow::Result<Outcome> {
    let packages = LIBRARIES.iter().flat_map(|krate| ["--package", *krate]);
    let counts = counted(cmd!(
        sh,
        "cargo test --release --lib --all-features {packages...}"
    ))?;
    Ok(Outcome::Passed(counts.to_string()))
}

/// Sums over the result lines of every test binary.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) n_passed: u64,
    pub(crate) n_ignored: u64,
    pub(crate) n_binaries: u64,
}

impl Counts {
    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add_line(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        let count = |what: &str| -> u64 {
            let at = rest.find(what).unwrap_or(0);
            let word = rest[..at].split_whitespace().next_back();
            word.and_then(|word| word.parse().ok()).unwrap_or(0)
        };
        self.n_passed += count(" passed");
        self.n_ignored += count(" ignored");
        self.n_binaries += 1;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tests in {} binaries", self.n_passed, self.n_binaries)?;
        if self.n_ignored != 0 {
            write!(f, ", {} ignored", self.n_ignored)?;
        }
        Ok(())
    }
}

/// Runs `cargo test`, forwards its output line by line, and counts the tests.
pub(crate) fn counted(cmd: Cmd<'_>) -> anyhow::Result<Counts> {
    eprintln!("$ {cmd}");
    let shown = cmd.to_string();
    let mut child = Command::from(cmd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("stdout is piped")?;
    let mut counts = Counts::default();
    for line in BufReader::new(output).split(b'\n') {
        // Not `lines()`, which requires UTF-8: a test may print anything.
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counts.add_line(&line);
    }
    let status = child.wait()?;
    ensure!(status.success(), "`{shown}` ended with {status}");
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_summed() {
        let mut counts = Counts::default();
        counts.add_line("running 4 tests");
        counts.add_line("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s");
        counts.add_line("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert_eq!(
            counts,
            Counts {
                n_passed: 15,
                n_ignored: 1,
                n_binaries: 2
            }
        );
        assert_eq!(counts.to_string(), "15 tests in 2 binaries, 1 ignored");
    }
}
