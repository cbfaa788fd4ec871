//! Whole reports, compared with files. `BLESS=1 cargo test --test cli` updates the files.

use std::env;
use std::fs;
use std::path::Path;

use crate::tool::{self, Scratch, module_names};

/// Compares a report with a file in `expected/`, or updates the file.
fn check(name: &str, got: &str, stale: &mut Vec<String>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli/expected")
        .join(name);
    if env::var_os("BLESS").is_some() {
        fs::write(&file, got).expect("written");
        return;
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if got != expected {
        stale.push(format!(
            "--- {name}, expected\n{expected}+++ {name}, got\n{got}"
        ));
    }
}

#[track_caller]
fn check_all(reports: impl IntoIterator<Item = (String, Vec<String>)>) {
    let mut stale = Vec::new();
    for (name, args) in reports {
        check(&name, &tool::run(args).success(), &mut stale);
    }
    assert!(
        stale.is_empty(),
        "{}\n{} reports changed",
        stale.join("\n"),
        stale.len()
    );
}

fn args(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn every_module_has_its_report() {
    check_all(
        module_names()
            .into_iter()
            .map(|name| (format!("{name}.txt"), args(&format!("inspect {name}.wasm")))),
    );
}

#[test]
fn every_module_has_its_json() {
    check_all(module_names().into_iter().map(|name| {
        (
            format!("{name}.json"),
            args(&format!("inspect {name}.wasm --json")),
        )
    }));
}

#[test]
fn flags_change_the_report() {
    let cases = [
        ("tour-ascii.txt", "inspect tour.wasm --ascii"),
        ("tour-reference.txt", "inspect tour.wasm --policy reference"),
        (
            "tour-smallest-64k.txt",
            "inspect tour.wasm --policy smallest --page-size 64K",
        ),
        (
            "tour-known.txt",
            "inspect tour.wat --global host.base=0x1000",
        ),
        (
            "imported-zeroed.txt",
            "inspect imported.wasm --assume-zeroed-imports",
        ),
        ("help.txt", "--help"),
        ("help-inspect.txt", "inspect --help"),
        ("help-build.txt", "build --help"),
        ("help-verify.txt", "verify --help"),
        ("help-pack.txt", "pack --help"),
        ("help-bench.txt", "bench --help"),
        ("help-dump.txt", "dump --help"),
        ("help-extract.txt", "extract --help"),
        ("help-diff.txt", "diff --help"),
        ("help-completions.txt", "completions --help"),
    ];
    check_all(cases.map(|(name, line)| (name.to_owned(), args(line))));
}

/// Thousands of segments, several memories, and names with terminal control characters.
const LARGE: &str = r#"
    (module $large
      (import "env" "\1b[31mred\u{202e}" (memory 1))
      (import "env" "__memory_base" (global $base i32))
      (memory $sparse i64 0x1_0000_0000)
      (memory $full 65536)
      (data (memory $sparse) (i64.const 0x0) "low")
      (data (memory $sparse) (i64.const 0xffff_ffff_fff0) "high")
      (data (memory $full) (i32.const 0xc000_0000) "three")
      SEGMENTS
      (data "passive"))"#;

#[test]
fn thousands_of_segments_take_a_few_lines() {
    let scratch = Scratch::new();
    let segments: String = (0..3000)
        .map(|nth| match nth % 3 {
            0 => format!("(data (memory 0) (i32.const {nth}) \"imported\")"),
            1 => format!("(data (memory 0) (i32.add (global.get $base) (i32.const {nth})) \"x\")"),
            _ => format!(
                "(data (memory $full) (i32.const {}) \"later!\")",
                nth * 1000
            ),
        })
        .collect();
    let module = scratch.module("large.wasm", &LARGE.replace("SEGMENTS", &segments));
    let stdin = fs::read(module).expect("read");
    let report = tool::run_with_stdin(&["inspect", "-"], &stdin).success();
    assert!(report.lines().count() < 80);
    assert!(
        // A command to paste is neither wrapped nor cut.
        report
            .lines()
            .all(|line| line.chars().count() <= 80 || line.starts_with("  wasm-meminit ")),
        "{report}"
    );
    assert!(!report.contains(['\u{1b}', '\u{202e}']));
    let mut stale = Vec::new();
    check("large.txt", &report, &mut stale);
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}
