//! What libFuzzer reports while it runs.

use core::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::Context;

/// The figures of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    n_executions: u64,
    /// Edges of the program that any input has taken.
    coverage: u64,
    /// How many inputs the corpus has.
    n_inputs: u64,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, edges, inputs) = (self.n_executions, self.coverage, self.n_inputs);
        write!(
            f,
            "{n} executions, {edges} edges, {inputs} inputs in the corpus"
        )
    }
}

impl Progress {
    /// Reads a line such as `#1024 NEW cov: 812 ft: 1960 corp: 120/4096b ...`.
    fn read(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let n_executions = first.strip_prefix('#').map(|it| it.trim_end_matches(':'));
        if let Some(n) = n_executions.and_then(|it| it.parse().ok()) {
            self.n_executions = self.n_executions.max(n);
        }
        while let Some(word) = words.next() {
            let number = |it: &str| it.split('/').next().and_then(|it| it.parse().ok());
            match word {
                "cov:" => self.coverage = words.next().and_then(number).unwrap_or(self.coverage),
                "corp:" => self.n_inputs = words.next().and_then(number).unwrap_or(self.n_inputs),
                _ => {}
            }
        }
        let executed = line.strip_prefix("stat::number_of_executed_units:");
        if let Some(n) = executed.and_then(|it| it.trim().parse().ok()) {
            self.n_executions = n;
        }
    }
}

/// Runs a fuzzer and shows what it writes. Returns whether it ended without a finding.
pub(super) fn watch(mut command: Command) -> anyhow::Result<(bool, Progress)> {
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().context("no stderr")?;
    let mut progress = Progress::default();
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        progress.read(&line);
    }
    Ok((child.wait()?.success(), progress))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_lines() {
        let mut progress = Progress::default();
        for line in [
            "INFO: Seed: 1",
            "#2\tINITED cov: 80 ft: 81 corp: 1/1b exec/s: 0 rss: 40Mb",
            "#1024\tNEW    cov: 812 ft: 1960 corp: 120/4096b lim: 100 exec/s: 90 rss: 50Mb",
            "stat::number_of_executed_units: 2048",
        ] {
            progress.read(line);
        }
        let text = "2048 executions, 812 edges, 120 inputs in the corpus";
        assert_eq!(progress.to_string(), text);
    }
}
