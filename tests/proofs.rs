//! Checks that every test that a page names as the proof of a promise exists.
//!
//! In the column `test` of a table, a name that ends with `.rs` is a file, and each name after it
//! is a test in that file.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// A table's cell, with the line that it is in.
struct Cell {
    line: usize,
    text: String,
}

/// Returns the cells in a column of every table that has it. A row has as many cells as the head.
fn column(page: &str, name: &str) -> Vec<Cell> {
    let text = fs::read_to_string(root().join(page)).unwrap_or_else(|err| panic!("{page}: {err}"));
    let mut cells = Vec::new();
    let mut head: Option<(usize, usize)> = None;
    let mut is_in_table = false;
    for (line, text) in (1..).zip(text.lines()) {
        let Some(row) = text.strip_prefix('|').and_then(|it| it.strip_suffix('|')) else {
            is_in_table = false;
            continue;
        };
        let row: Vec<&str> = row.split('|').map(str::trim).collect();
        if !is_in_table {
            is_in_table = true;
            let at = row.iter().position(|it| *it == name);
            head = at.map(|at| (at, row.len()));
        } else if let Some((at, n_cells)) = head {
            assert_eq!(row.len(), n_cells, "{page}:{line}: cells");
            let text = row[at].to_owned();
            if !text.starts_with("---") {
                cells.push(Cell { line, text });
            }
        }
    }
    cells
}

/// Returns what is in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a source has a test with that name: a function with the attribute before it, apart
/// from comments and other attributes.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_test = |at: usize| {
        let before = lines[..at].iter().rev();
        let mut attributes = before.take_while(|it| it.starts_with("#[") || it.starts_with("//"));
        attributes.any(|it| *it == "#[test]")
    };
    let starts = |line: &str| line.starts_with(&format!("fn {name}("));
    (0..lines.len()).any(|at| starts(lines[at]) && is_test(at))
}

/// What a page proves its promises with.
#[derive(Debug, PartialEq, Eq)]
struct Proofs {
    rows: usize,
    tests: usize,
}

/// Checks the column of a page; files are relative to `folder`. `first` is the file of tests that
/// follow no file's name.
fn check(page: &str, folder: &str, first: Option<&str>) -> Proofs {
    let mut proofs = Proofs { rows: 0, tests: 0 };
    for Cell { line, text } in column(page, "test") {
        let mut file = first.map(str::to_owned);
        let mut n_proofs = 0;
        for name in quoted(&text) {
            n_proofs += 1;
            let path = root().join(folder).join(name);
            // A suite may go by its name.
            let suite = ["", "/main"].map(|end| format!("{name}{end}.rs"));
            let suite = suite
                .into_iter()
                .find(|it| root().join(folder).join(it).is_file());
            if name.ends_with(".rs") {
                assert!(path.is_file(), "{page}:{line}: no file {name}");
                file = Some(name.to_owned());
            } else if suite.is_some() {
                file = suite;
            } else {
                let file = file.as_deref();
                let file = file.unwrap_or_else(|| panic!("{page}:{line}: {name} of which file?"));
                let source = fs::read_to_string(root().join(folder).join(file)).expect("a file");
                assert!(
                    has_test(&source, name),
                    "{page}:{line}: no test {name} in {file}"
                );
                proofs.tests += 1;
            }
        }
        assert_ne!(n_proofs, 0, "{page}:{line}: no test");
        proofs.rows += 1;
    }
    proofs
}

/// Checks a page, and that it did not shrink to nothing.
#[track_caller]
fn check_all(page: &str, folder: &str, first: Option<&str>, least: Proofs) {
    let proofs = check(page, folder, first);
    let is_enough = least.rows <= proofs.rows && least.tests <= proofs.tests;
    assert!(is_enough, "{page}: {proofs:?}, expected at least {least:?}");
}

#[test]
fn every_test_of_the_threat_model_exists() {
    let least = Proofs {
        rows: 15,
        tests: 50,
    };
    check_all("SECURITY.md", "", None, least);
}

#[test]
fn every_test_of_the_guide_exists() {
    let least = Proofs {
        rows: 20,
        tests: 20,
    };
    check_all(
        "docs/security.md",
        "apply/tests",
        Some("slot_security.rs"),
        least,
    );
    let least = Proofs {
        rows: 10,
        tests: 12,
    };
    check_all("docs/files.md", "tests/cli", None, least);
    let least = Proofs {
        rows: 20,
        tests: 24,
    };
    check_all("docs/limits.md", "", None, least);
}

/// A limit of the page is the constant in the source, and its error is one that exists.
#[test]
fn the_limits_are_those_of_the_code() {
    let page = "docs/limits.md";
    let [limits, constants, errors] = ["limit", "constant", "error"].map(|name| column(page, name));
    assert!(20 <= limits.len(), "{} limits", limits.len());
    assert_eq!(
        (limits.len(), limits.len()),
        (constants.len(), errors.len())
    );
    for ((limit, constant), error) in limits.iter().zip(&constants).zip(&errors) {
        let place = format!("{page}:{}", limit.line);
        let mut names = quoted(&constant.text);
        let (Some(file), Some(name)) = (names.next(), names.next()) else {
            panic!("{place}: expected a file and a constant");
        };
        let source = fs::read_to_string(root().join(file));
        let source = source.unwrap_or_else(|err| panic!("{place}: {file}: {err}"));
        let in_code = value_of(&source, name).unwrap_or_else(|| panic!("{place}: no {name}"));
        assert_eq!(amount(&limit.text), Some(in_code), "{place}: {name}");
        for name in quoted(&error.text) {
            assert!(is_variant(name), "{place}: no error {name}");
        }
    }
}

/// Returns the value of a constant: a number, or one shifted by another.
fn value_of(source: &str, name: &str) -> Option<f64> {
    let definition = format!("const {name}: ");
    let line = source.lines().find(|line| line.contains(&definition))?;
    let (_, value) = line.split_once(" = ")?;
    let value = value.trim_end_matches(';').replace('_', "");
    match value.split_once(" << ") {
        _ if value == "(1 << 32) - 1" => Some(f64::from(u32::MAX)),
        Some((number, shift)) => {
            let number: u64 = number.parse().ok()?;
            Some((number << shift.parse::<u32>().ok()?) as f64)
        }
        // The constant of another crate.
        None if value.ends_with("::MAXMODULES") => {
            let source = fs::read_to_string(root().join("analysis/src/limits.rs")).ok()?;
            value_of(&source, "MAX_MODULES")
        }
        None => value.parse().ok(),
    }
}

/// Returns what a cell states: a number, with commas, and a unit if it is not a count.
fn amount(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let unit = match unit.split(' ').next()? {
        "KiB" => 1024.0,
        "MiB" => f64::from(1 << 20),
        "GiB" => f64::from(1 << 30),
        _ => 1.0,
    };
    Some(number.replace(',', "").parse::<f64>().ok()? * unit)
}

/// Whether `Type::Variant` is a variant of an error or a reason in the libraries.
fn is_variant(name: &str) -> bool {
    let Some((of, variant)) = name.split_once("::") else {
        return false;
    };
    let folders = ["analysis/src", "image-builder/src", "apply/src"];
    let mut files: Vec<PathBuf> = folders.iter().map(|it| root().join(it)).collect();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).expect("a folder");
            files.extend(entries.map(|it| it.expect("readable").path()));
            continue;
        }
        let source = fs::read_to_string(path).expect("a source");
        let Some((_, body)) = source.split_once(&format!("pub enum {of} {{\n")) else {
            continue;
        };
        // It may be indented, in a macro.
        let lines = body.lines().map(str::trim);
        let ends = |it: &str| it.starts_with("pub ") || it.starts_with("impl ");
        return lines.take_while(|it| !ends(it)).any(|it| {
            let rest = it.strip_prefix(variant);
            rest.is_some_and(|it| it.starts_with([',', ' ', '(']))
        });
    }
    false
}

#[test]
fn amounts_and_constants() {
    assert_eq!(amount("1,000 modules"), Some(1000.0));
    assert_eq!(amount("4 GiB"), Some(4294967296.0));
    assert_eq!(
        value_of("pub const A: u64 = 1 << 30;\n", "A"),
        Some(1073741824.0)
    );
    assert_eq!(value_of("const A: usize = 100_000;\n", "A"), Some(100000.0));
    assert_eq!(value_of("const A: f64 = 1.3;\n", "A"), Some(1.3));
    assert_eq!(value_of("const A: usize = 1;\n", "B"), None);
    assert!(is_variant("DecodeError::Truncated") && is_variant("Reason::TooLarge"));
    assert!(!is_variant("DecodeError::Trunc") && !is_variant("NoError::Truncated"));
}

#[test]
fn a_test_is_more_than_a_function() {
    let source = "#[test]\n/// Why.\n#[cfg(unix)]\nfn one() {}\n\nfn two() {}\n// fn three() {}\n";
    assert!(has_test(source, "one"));
    assert!(!has_test(source, "two"));
    assert!(!has_test(source, "three"));
}
