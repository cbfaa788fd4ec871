//! Checks that `docs/not-static.md` and `docs/threads.md` explain every reason and decision, with
//! the words of the tool, and that the modules that they name show them.

use std::fs;

use serde_json::Value;
use wasm_meminit::analysis::{DataIndex, FuncIndex, GlobalIndex, ReachedBy, Reason, StartReason};

use crate::{console, page, root, table};

/// Returns the names of an enumeration's variants as they are in JSON.
fn variants(file: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(file)).expect("a source file");
    let mut lines = text.lines();
    let start = format!("pub enum {name} {{");
    let start = lines
        .find(|it| it.trim() == start)
        .expect("the enumeration");
    let depth = start.len() - start.trim_start().len();
    let end = format!("{}}}", " ".repeat(depth));
    let indent = " ".repeat(depth + 4);
    let lines = lines.take_while(|it| **it != *end);
    let names = lines.filter_map(|it| it.strip_prefix(&indent));
    let names = names.filter(|it| it.starts_with(|it: char| it.is_ascii_uppercase()));
    let names = names.map(|it| it.split([',', ' ']).next().unwrap_or(it));
    names.map(snake_case).collect()
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for char in name.chars() {
        if char.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(char.to_ascii_lowercase());
    }
    out
}

/// Returns the strings at a path of fields, in every element of the lists on the way.
fn strings<'a>(json: &'a Value, path: &[&str]) -> Vec<&'a str> {
    match (json, path.split_first()) {
        (Value::Array(items), _) => items.iter().flat_map(|it| strings(it, path)).collect(),
        (Value::String(found), None) => vec![found],
        (json, Some((field, path))) => strings(&json[*field], path),
        _ => Vec::new(),
    }
}

/// Checks that the table's rows are exactly these, with these words.
#[track_caller]
fn check(page: &str, column: &str, names: &[String], words: &[String]) {
    let rows = table(page, column);
    let explained: Vec<String> = rows
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(explained, names, "column {column}");
    assert_eq!(names.len(), words.len(), "a sample for each");
    for (row, words) in rows.iter().zip(words) {
        assert_eq!(row[1], words, "{}", row[0]);
    }
}

#[test]
fn every_reason_is_explained() {
    let text = page("docs/not-static.md");
    let global = GlobalIndex::from_u32(0);
    let segment = DataIndex::from_u32(1);
    let samples = [
        Reason::ImportedMemory,
        Reason::DynamicOffset { global },
        Reason::NotAConstant,
        Reason::OutOfBounds {
            addr: 0xfffd,
            min_bytes: 0x10000,
        },
        Reason::AfterBarrier { barrier: segment },
        Reason::AlwaysTraps { at: segment },
        Reason::AllOrNothing { because: segment },
        Reason::TooSparse {
            span: 67_108_865,
            data_bytes: 2,
        },
        Reason::PageSize { page_size: 1 },
        Reason::SizeLimit {
            image_bytes: 2_097_152,
            limit: 1_048_576,
        },
        Reason::ModuleSizeLimit {
            image_bytes: 2_097_152,
            limit: 1_048_576,
        },
        Reason::TooLarge,
        Reason::Passive,
    ];
    let names = variants("analysis/src/decide/reason.rs", "Reason");
    check(&text, "reason", &names, &samples.map(|it| it.to_string()));
    for row in table(&text, "reason") {
        let name = row[0].trim_matches('`');
        let shown = row[2];
        if shown != "–" {
            let json = console::json(shown.trim_matches('`'));
            let found = strings(&json, &["modules", "reasons", "reason"]);
            assert!(found.contains(&name), "{shown} shows {found:?}");
        }
    }
    let decisions = variants("analysis/src/decide/plan.rs", "Decision");
    let rows = table(&text, "decision");
    let explained: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(explained, decisions);
}

#[test]
fn every_reason_of_a_start_function_is_explained() {
    let text = page("docs/threads.md");
    let global = GlobalIndex::from_u32(0);
    let function = FuncIndex::from_u32(2);
    let samples = [
        StartReason::NotAsked,
        StartReason::Nothing,
        StartReason::NoBody,
        StartReason::Shape { offset: 0x10 },
        StartReason::DynamicOffset { global },
        StartReason::OutOfBounds {
            addr: 0xfffd,
            min_bytes: 0x10000,
        },
        StartReason::Overlap { addr: 0x400 },
        StartReason::ImportedMemory,
        StartReason::ThreadLocal { global },
        StartReason::Replayed {
            segment: DataIndex::from_u32(1),
        },
        StartReason::Reachable {
            function,
            by: ReachedBy::Export,
        },
        StartReason::Policy,
    ];
    let names = variants("analysis/src/start/init.rs", "StartReason");
    check(&text, "reason", &names, &samples.map(|it| it.to_string()));
    let names = variants("analysis/src/start/init.rs", "ReachedBy");
    let samples = [
        ReachedBy::Export,
        ReachedBy::Call,
        ReachedBy::Reference,
        ReachedBy::Element,
        ReachedBy::Global,
        ReachedBy::Unknown,
    ];
    check(
        &text,
        "reached by",
        &names,
        &samples.map(|it| it.to_string()),
    );
    for row in table(&text, "reason") {
        let (name, shown) = (row[0].trim_matches('`'), row[2]);
        if shown != "–" {
            let json = console::json(shown.trim_matches('`'));
            let found = strings(&json, &["modules", "start_function", "why_not", "reason"]);
            assert_eq!(found, [name], "{shown}");
        }
    }
}
