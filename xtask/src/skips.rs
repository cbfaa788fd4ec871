//! What the tests could not test on this machine: each says so in a line of a file.

use std::path::{Path, PathBuf};

use anyhow::Context;
use xshell::{Cmd, Shell, TempDir};

/// Where the tests append their lines (`tests/support/src/skips.rs`).
const VARIABLE: &str = "WASM_MEMINIT_SKIPS";

/// Collects the lines of the tests of several commands.
#[derive(Debug)]
pub(crate) struct Skips {
    folder: TempDir,
}

impl Skips {
    pub(crate) fn new(sh: &Shell) -> anyhow::Result<Self> {
        let folder = sh.create_temp_dir()?;
        Ok(Self { folder })
    }

    /// Has the tests of a command append to the list.
    pub(crate) fn collect<'c>(&self, command: Cmd<'c>) -> Cmd<'c> {
        command.env(VARIABLE, self.file())
    }

    /// Returns a note for the summary of a step.
    pub(crate) fn note(&self, sh: &Shell) -> anyhow::Result<String> {
        let file = self.file();
        let lines = match sh.path_exists(&file) {
            true => sh.read_file(&file).context("the list of skipped tests")?,
            false => String::new(),
        };
        Ok(note(&lines))
    }

    fn file(&self) -> PathBuf {
        Path::new(self.folder.path()).join("skips")
    }
}

/// A test that skips a part of itself in a loop, or in several processes, is in the list once.
fn note(lines: &str) -> String {
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    match lines.as_slice() {
        [] => "no test was skipped".to_owned(),
        lines => {
            let n = lines.len();
            let all = lines.join("\n          ");
            format!("tests were skipped at {n} places:\n          {all}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_listed_once() {
        assert_eq!(note(""), "no test was skipped");
        assert_eq!(
            note("b.rs:2: no swap\na.rs:1: no root\nb.rs:2: no swap\n"),
            "tests were skipped at 2 places:\n          a.rs:1: no root\n          b.rs:2: no swap"
        );
    }
}
