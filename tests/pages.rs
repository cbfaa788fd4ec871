//! Checks that the code in the READMEs, in `docs/engines/` and on the library's front page is
//! copied from code that runs: from an example, or from a test.
//!
//! A comment before a block, `<!-- FILE: NAME -->`, names its source: the lines of the file
//! between `// ANCHOR: NAME` and `// ANCHOR_END: NAME`, without their indentation.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn without_indentation(lines: &[&str]) -> String {
    let depth = |line: &&str| line.len() - line.trim_start().len();
    let filled = lines.iter().filter(|line| !line.trim().is_empty());
    let depth = filled.map(depth).min().unwrap_or(0);
    let cut = lines.iter().map(|line| line.get(depth..).unwrap_or(""));
    cut.map(|line| format!("{line}\n")).collect()
}

fn anchored(file: &str, name: &str) -> String {
    let text = fs::read_to_string(root().join(file)).unwrap_or_else(|err| panic!("{file}: {err}"));
    let lines: Vec<&str> = text.lines().collect();
    let find = |mark: &str| {
        let mark = format!("// {mark}: {name}");
        let found = lines.iter().position(|line| line.trim() == mark);
        found.unwrap_or_else(|| panic!("{file} has no `{mark}`"))
    };
    let mut lines = lines[find("ANCHOR") + 1..find("ANCHOR_END")].to_vec();
    // Those of a part that is also shown on its own.
    lines.retain(|line| !line.trim().starts_with("// ANCHOR"));
    without_indentation(&lines)
}

/// Returns the text of a crate's documentation.
fn front_page(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Compares the code blocks of a page with their sources and returns how many there are.
fn check(page: &Path) -> usize {
    let text = fs::read_to_string(page).expect("a page");
    // On the front page of a crate, blocks are Rust by default, and doctests may hide lines.
    let is_crate = page.extension().is_some_and(|it| it == "rs");
    let fence = if is_crate { "```" } else { "```rust" };
    let text = if is_crate { front_page(&text) } else { text };
    let mut lines = text.lines();
    let mut n_blocks = 0;
    while let Some(line) = lines.next() {
        let comment = line.strip_prefix("<!-- ");
        let Some(mark) = comment.and_then(|it| it.strip_suffix(" -->")) else {
            // An unmarked block must not be Rust, since nothing would compile it.
            assert_ne!(line, fence, "{}: a block without a file", page.display());
            continue;
        };
        let (file, name) = mark.split_once(": ").expect("FILE: NAME");
        assert_eq!(lines.next(), Some(fence), "{mark}");
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let is_hidden = |line: &&&str| is_crate && line.starts_with("# ");
        let shown = block.iter().filter(|line| !is_hidden(line));
        let block = shown.map(|line| format!("{line}\n"));
        let expected = anchored(file, name);
        assert!(
            block.collect::<String>() == expected,
            "{}: {mark} is now\n{expected}",
            page.display()
        );
        n_blocks += 1;
    }
    n_blocks
}

#[test]
fn code_on_pages_is_code_that_runs() {
    let engines = ["README", "wasmtime", "wasmer", "wasmi"];
    let engines = engines.map(|page| format!("docs/engines/{page}.md"));
    for page in
        engines
            .iter()
            .map(String::as_str)
            .chain(["README.md", "apply/README.md", "src/lib.rs"])
    {
        assert!(0 < check(&root().join(page)), "{page} shows no code");
    }
}

/// Those of the engines' packages, whichever there are.
#[test]
fn code_in_the_readmes_of_engines_is_code_that_runs() {
    let packages = fs::read_dir(root().join("engines")).expect("a folder");
    let mut n_packages = 0;
    for package in packages {
        let package = package.expect("readable").path();
        // A package for another language shows that language.
        let is_rust = package.join("examples/requests.rs").exists();
        let n_blocks = check(&package.join("README.md"));
        assert!(!is_rust || 0 < n_blocks, "{package:?} shows no code");
        n_packages += 1;
    }
    assert!(3 <= n_packages, "{n_packages} packages");
}
