//! Checks that the code in the READMEs, in the guide and on the library's front page is copied
//! from code that runs: from an example, or from a test.
//!
//! A comment before a block, `<!-- FILE: NAME -->`, names its source: the lines of the file
//! between `// ANCHOR: NAME` and `// ANCHOR_END: NAME`, without their indentation. With
//! `<!-- FILE -->`, the block can be any adjacent lines of the file.
//!
//! Also checks figures that one page repeats from another.

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

/// Whether a block is a part of a file, whose lines may all be indented further.
fn is_excerpt(file: &str, block: &[&str]) -> bool {
    let text = fs::read_to_string(root().join(file)).unwrap_or_else(|err| panic!("{file}: {err}"));
    let lines: Vec<&str> = text.lines().collect();
    let block: String = block.iter().map(|line| format!("{line}\n")).collect();
    let mut excerpts = lines.windows(block.lines().count().max(1));
    excerpts.any(|excerpt| without_indentation(excerpt) == block)
}

/// Compares the code blocks of a page with their sources and returns how many there are.
fn check(page: &Path) -> usize {
    let text = fs::read_to_string(page).expect("a page");
    // On the front page of a crate, blocks are Rust by default, and doctests may hide lines.
    let is_crate = page.extension().is_some_and(|it| it == "rs");
    let fences: &[&str] = if is_crate {
        &["```"]
    } else {
        &["```rust", "```c"]
    };
    let text = if is_crate { front_page(&text) } else { text };
    let mut lines = text.lines();
    let mut n_blocks = 0;
    while let Some(line) = lines.next() {
        let comment = line.strip_prefix("<!-- ");
        let Some(mark) = comment.and_then(|it| it.strip_suffix(" -->")) else {
            // An unmarked block must not be code, since nothing would compile it. The README of
            // the C package is compiled by a test of that package.
            let is_compiled = line == "```c" && page.ends_with("engines/c/README.md");
            let is_code = fences.contains(&line) && !is_compiled;
            assert!(!is_code, "{}: a block without a file", page.display());
            continue;
        };
        let fence = lines.next().unwrap_or_default();
        assert!(fences.contains(&fence), "{mark}");
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        n_blocks += 1;
        let Some((file, name)) = mark.split_once(": ") else {
            let is_excerpt = is_excerpt(mark, &block);
            assert!(is_excerpt, "{}: not in {mark}: {block:#?}", page.display());
            continue;
        };
        let is_hidden = |line: &&&str| is_crate && line.starts_with("# ");
        let shown = block.iter().filter(|line| !is_hidden(line));
        let block = shown.map(|line| format!("{line}\n"));
        let expected = anchored(file, name);
        assert!(
            block.collect::<String>() == expected,
            "{}: {mark} is now\n{expected}",
            page.display()
        );
    }
    n_blocks
}

/// Returns the pages in a folder and in those below it.
fn pages_in(folder: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            pages.extend(pages_in(&path));
        } else if path.extension().is_some_and(|it| it == "md") {
            pages.push(path);
        }
    }
    pages
}

#[test]
fn code_on_pages_is_code_that_runs() {
    let of_guide = pages_in(&root().join("docs"));
    let n_blocks: usize = of_guide.iter().map(|page| check(page)).sum();
    assert!(10 <= n_blocks, "{n_blocks} blocks in the guide");
    for page in ["README.md", "apply/README.md", "src/lib.rs"] {
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

/// The page of comparisons repeats figures of a table that a bench writes.
#[test]
fn the_comparison_has_the_figures_of_the_requests() {
    let read = |page: &str| fs::read_to_string(root().join("docs").join(page)).expect("a page");
    let requests = read("requests.md");
    let (_, summary) = requests.split_once("## Summary").expect("a summary");
    let (summary, _) = summary.split_once("\n## ").expect("another heading");
    let rows = summary.lines().filter(|it| it.starts_with("| wasmtime | "));
    let figures = |column: usize| -> Vec<f64> {
        let cells = rows.clone().map(|it| it.split('|').nth(column));
        let numbers = cells.map(|it| it.and_then(|it| it.trim().parse().ok()));
        numbers.map(|it| it.expect("a number")).collect()
    };
    let (tuned, worst) = (figures(3), figures(4));
    let min = |of: &[f64]| of.iter().copied().fold(f64::INFINITY, f64::min);
    let max = tuned.iter().copied().fold(0.0, f64::max);
    let page = read("comparison.md");
    let words: Vec<&str> = page.split_whitespace().collect();
    let page = words.join(" ");
    for expected in [
        format!("take {:.2} to {max:.2} times as long as ours", min(&tuned)),
        format!("but {:.2} times in the worst row", min(&worst)),
    ] {
        assert!(page.contains(&expected), "not on the page: {expected}");
    }
}

#[test]
fn an_excerpt_is_indented_as_a_whole() {
    let file = "engines/c/examples/reset.c";
    let good = [
        "for (int use = 0; use < 3; use++) {",
        "    base.bits = 0x3000 + 0x1000 * (uint64_t)use;",
    ];
    assert!(is_excerpt(file, &good));
    assert!(!is_excerpt(file, &good.map(str::trim)));
    assert!(!is_excerpt(file, &[good[1].trim(), good[0]]));
}
