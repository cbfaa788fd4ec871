//! Tests that this machine cannot run: each says so in one line, and `cargo xtask ci` lists them.

use core::panic::Location;
use std::env;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Write};

/// The environment variable with the file that a line is appended to.
const FILE: &str = "WASM_MEMINIT_SKIPS";

/// The environment variable that makes a skipped test fail.
const NONE: &str = "WASM_MEMINIT_NO_SKIPS";

/// Reports that the calling test, or a part of it, is skipped, because this machine lacks what it
/// needs. What a test skips by design is no such case.
///
/// # Panics
///
/// If `WASM_MEMINIT_NO_SKIPS` is 1.
#[track_caller]
pub fn skip_test(reason: &str) {
    let at = Location::caller();
    let line = format!("{}:{}: {reason}", at.file(), at.line());
    let _ = writeln!(io::stderr(), "skipped: {line}");
    if let Some(file) = env::var_os(FILE) {
        append(&file, &line).expect("the list of skipped tests");
    }
    assert!(
        env::var_os(NONE).is_none_or(|it| it != "1"),
        "skipped: {line}"
    );
}

/// Appends a line in one call: other tests append to the same file.
fn append(file: &OsStr, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Marks the process in which the test is skipped.
    const CHILD: &str = "WASM_MEMINIT_SKIPS_CHILD";

    #[test]
    fn a_skipped_test_is_listed_and_fails_on_demand() {
        if env::var_os(CHILD).is_some() {
            return skip_test("there is no moon");
        }
        let list = tempfile::NamedTempFile::new().expect("a file");
        for (none, passes) in [("0", true), ("1", false)] {
            let mut command = Command::new(env::current_exe().expect("a path"));
            command
                .args([crate::test_name!(), "--exact"])
                .env(CHILD, "");
            command.env(FILE, list.path()).env(NONE, none);
            let done = command.output().expect("a child");
            assert_eq!(done.status.success(), passes, "{done:?}");
        }
        let listed = std::fs::read_to_string(list.path()).expect("UTF-8");
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(lines.len(), 2, "{listed}");
        for line in lines {
            assert!(line.starts_with("tests/support/src/skips.rs:"), "{line}");
            assert!(line.ends_with(": there is no moon"), "{line}");
        }
    }
}
