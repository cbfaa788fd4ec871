//! Checks what the guide (`docs/`) says about the tool: commands are run, dumps are compared, and
//! every reason is explained. `tests/pages.rs` checks its code.

extern crate alloc;

mod artifact;
mod console;
mod meanings;
mod reasons;
mod toolchains;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Returns the README and all pages of the guide.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn page(name: &str) -> String {
    let path = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// Returns the cells of each row of the table whose first column has this title.
#[track_caller]
fn table<'a>(page: &'a str, first: &str) -> Vec<Vec<&'a str>> {
    let cells = |line: &'a str| -> Vec<&'a str> {
        let line = line.trim_matches('|');
        line.split(" | ").map(str::trim).collect()
    };
    let mut lines = page.lines();
    let is_title = |line: &str| line.starts_with(&format!("| {first} |"));
    assert!(lines.any(is_title), "no table with the column {first}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(cells).collect()
}
