//! The first lines of a report, and its size on a small terminal.

use std::fs;

use serde_json::Value;

use crate::tool::{self, Scratch, module_names};

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&tool::run(args).success()).expect("JSON")
}

/// Text, JSON and HTML begin with the same figures, and the command to paste follows.
#[test]
fn every_format_has_the_headline() {
    let scratch = Scratch::new();
    let page = scratch.path("page.html");
    for (file, sentence, with) in [
        (
            "hello.wasm",
            "48 of 48 data bytes (100 %) in images, 2 host pages",
            None,
        ),
        (
            "tour.wasm",
            "203 of 222 data bytes (91.4 %) in images, 4 host pages",
            Some("up to 222"),
        ),
        (
            "threads.wasm",
            "0 of 49 data bytes (0 %) in images",
            Some("49"),
        ),
        ("no-memory.wasm", "no data that instantiation writes", None),
    ] {
        let text = tool::run(["inspect", file, "--html", &page]).success();
        let lines: Vec<&str> = text.lines().collect();
        let report = json(&["inspect", file, "--json"]);
        assert_eq!(report["headline"]["text"], sentence, "{file}");
        let html = fs::read_to_string(&page).expect("a page");
        assert!(html.contains(sentence), "{html}");
        match with {
            None => assert_eq!(lines[1], sentence),
            Some(with) => {
                assert_eq!(lines[1], format!("{sentence}; {with} with:"));
                assert!(lines[2].starts_with("  wasm-meminit inspect "), "{text}");
                assert!(lines[3].starts_with("provided that "), "{text}");
                let before = html.find(lines[2].trim()).expect("the command");
                assert!(before < html.find("<svg").expect("a legend"), "{html}");
            }
        }
    }
}

/// The pasted command gives the number of bytes that the headline promised.
#[test]
fn the_promised_bytes_are_in_images() {
    for file in ["threads.wasm", "imported.wasm"] {
        let before = json(&["inspect", file, "--json"]);
        let command = before["hint"]["command"].as_str().expect("a command");
        let args: Vec<&str> = command.split(' ').skip(1).collect();
        let after = json(&args);
        let number = |it: &Value| it.as_u64().expect("a number");
        assert_eq!(
            number(&after["headline"]["in_images"]),
            number(&before["headline"]["in_images"]) + number(&before["hint"]["data_bytes"]),
            "{file}"
        );
        assert_eq!(
            before["headline"]["data_bytes"],
            after["headline"]["data_bytes"]
        );
    }
}

/// `build` without options names what is missing from the artifact.
#[test]
fn build_ends_with_the_headline() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    let result = tool::run(["build", "threads.wasm", "-o", &out]).success();
    assert!(
        result.contains("\n0 of 49 data bytes (0 %) in images; 49 with:\n  wasm-meminit build "),
        "{result}"
    );
}

/// Returns how many lines of 80 characters a report takes.
fn n_lines(report: &str) -> usize {
    let rows = |it: &str| it.chars().count().div_ceil(80).max(1);
    report.lines().map(rows).sum()
}

#[test]
fn a_report_on_one_memory_fits_a_small_terminal() {
    for name in module_names() {
        let file = format!("{name}.wasm");
        let memories = &json(&["inspect", &file, "--json"])["modules"];
        let is_single = memories.as_array().is_some_and(|it| it.len() == 1)
            && memories[0]["memories"]
                .as_array()
                .is_some_and(|it| it.len() == 1);
        if is_single {
            let report = tool::run(["inspect", &file]).success();
            assert!(n_lines(&report) < 24, "{report}");
            assert!(report.contains("\nmemory 0: "), "{report}");
        }
    }
}

/// With many reasons, the map or some of the reasons are left out, never the decision.
#[test]
fn many_reasons_still_fit() {
    let scratch = Scratch::new();
    let globals: String = (0..12)
        .map(|nth| format!(r#"(import "environment" "a_long_name_{nth}" (global i32))"#))
        .collect();
    let segments: String = (0..12)
        .map(|nth| format!("(data (global.get {nth}) \"dynamic\")"))
        .collect();
    let text = format!(
        r#"(module {globals} (memory 4) (data (i32.const 64) "x")
            (data (i32.const 128) "y") {segments})"#
    );
    let module = scratch.module("many.wasm", &text);
    let report = tool::run(["inspect", &module]).success();
    assert!(n_lines(&report) < 24, "{report}");
    assert!(report.contains("\nmemory 0: hybrid\n"), "{report}");
    assert!(report.contains("more reasons: see --json\n"), "{report}");
}
