//! `inspect --segments`: every segment, where it is, and what becomes of it.

use std::fs;

use serde_json::{Value, json};

use crate::tool::{self, Scratch, module_names};

fn segments(args: &[&str]) -> Vec<Value> {
    let args = ["inspect", "--json", "--segments"].iter().chain(args);
    let report: Value = serde_json::from_str(&tool::run(args).success()).expect("JSON");
    let modules = report["modules"].as_array().expect("a list");
    let lists = modules
        .iter()
        .map(|it| it["segments"].as_array().expect("a list"));
    lists.flatten().cloned().collect()
}

const NAMED: &str = r#"(module (import "env" "base" (global $base i32)) (memory 1)
    (data $.rodata (i32.const 0x400) "hello")
    (data (i32.add (global.get $base) (i32.const 4)) "dynamic")
    (data $later (i32.const 0x500) "after")
    (data $"\1b[31m\e2\80\ae" "passive"))"#;

#[test]
fn a_segment_has_a_row() {
    let scratch = Scratch::new();
    let file = scratch.module("named.wasm", NAMED);
    let bytes = fs::read(&file).expect("written");
    let offset = |text: &str| {
        let found = bytes
            .windows(text.len())
            .position(|it| it == text.as_bytes());
        found.expect("in the file")
    };
    let expected = [
        json!({"index": 0, "name": ".rodata", "mode": "active", "memory": 0, "address": 0x400,
            "length": 5, "file_offset": offset("hello"), "fate": "baked", "reason": null}),
        json!({"index": 1, "name": null, "mode": "active", "memory": 0, "address": null,
            "length": 7, "file_offset": offset("dynamic"), "fate": "replayed",
            "reason": "dynamic_offset"}),
        json!({"index": 2, "name": "later", "mode": "active", "memory": 0, "address": 0x500,
            "length": 5, "file_offset": offset("after"), "fate": "replayed",
            "reason": "after_barrier"}),
        json!({"index": 3, "name": "\u{1b}[31m\u{202e}", "mode": "passive", "memory": null,
            "address": null, "length": 7, "file_offset": offset("passive"), "fate": "passive",
            "reason": null}),
    ];
    assert_eq!(segments(&[&file]), expected);
    let known = segments(&[&file, "--global", "env.base=0x1000"]);
    assert_eq!(known[1]["address"], 0x1004);
    assert_eq!(known[2]["fate"], "baked");

    let text = tool::run(["inspect", "--segments", &file]).success();
    assert!(text.contains("\nSegments\n"), "{text}");
    assert!(text.contains(".rodata"), "{text}");
    assert!(text.contains("\\u{1b}[31m\\u{202e}"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    assert!(
        text.contains("replayed: its address depends on global 0 (env.base)\n"),
        "{text}"
    );
    let report: Value =
        serde_json::from_str(&tool::run(["inspect", "--json", &file]).success()).expect("JSON");
    assert_eq!(report["modules"][0].get("segments"), None);
}

/// The rows agree with the counts, and the bytes are where a row says.
#[test]
fn rows_agree_with_the_report() {
    for name in module_names() {
        let file = format!("{name}.wasm");
        let rows = segments(&[&file]);
        let args = ["inspect", "--json", &file];
        let report: Value = serde_json::from_str(&tool::run(args).success()).expect("JSON");
        let sum = |key: &str| -> u64 {
            let modules = report["modules"].as_array().expect("a list").iter();
            modules
                .map(|it| it["counts"][key].as_u64().expect("a number"))
                .sum()
        };
        let count =
            |key: &str, value: &str| rows.iter().filter(|it| it[key] == value).count() as u64;
        assert_eq!(count("mode", "active"), sum("active"), "{name}");
        assert_eq!(count("mode", "passive"), sum("passive"), "{name}");
        assert_eq!(count("fate", "baked"), sum("baked"), "{name}");
        assert_eq!(count("fate", "replayed"), sum("replayed"), "{name}");
        let len = fs::metadata(tool::modules().join(&file))
            .expect("ours")
            .len();
        for row in &rows {
            let number = |key: &str| row[key].as_u64().expect("a number");
            assert!(
                number("file_offset") + number("length") <= len,
                "{name}: {row}"
            );
        }
    }
}

/// What the start function of a threaded module copies, before and after it is promised.
#[test]
fn segments_of_a_start_function() {
    let rows = segments(&["threads.wasm"]);
    assert!(
        rows.iter().all(|it| it["fate"] == "left_to_start_function"),
        "{rows:?}"
    );
    assert!(rows.iter().all(|it| it["address"].is_u64()), "{rows:?}");
    let rows = segments(&[
        "threads.wasm",
        "--assume-zeroed-imports",
        "--start-function",
        "writes-stripped",
    ]);
    assert!(
        rows.iter()
            .all(|it| it["fate"] == "baked_for_start_function"),
        "{rows:?}"
    );
    assert!(rows.iter().all(|it| it["memory"] == 0), "{rows:?}");
}

/// Offsets in a component are those of the file, not of the core module.
#[test]
fn offsets_in_a_component() {
    let bytes = fs::read(tool::modules().join("component.wasm")).expect("ours");
    let rows = segments(&["component.wasm"]);
    assert_eq!(rows.len(), 2);
    let text = tool::run(["inspect", "--segments", "component.wasm"]).success();
    assert_eq!(text.matches("\nSegments\n").count(), 2, "{text}");
    let offset = |nth: usize| rows[nth]["file_offset"].as_u64().expect("a number") as usize;
    assert!(bytes[offset(0)].is_ascii_graphic() && offset(0) < offset(1));
}

/// The list is bounded by a constant for each segment, and the text is cut.
#[test]
fn a_hundred_thousand_segments() {
    let scratch = Scratch::new();
    let n = 100_000;
    let empty = r#"(data "")"#.repeat(n);
    let file = scratch.module("many.wasm", &format!("(module {empty})"));
    let text = tool::run(["inspect", "--segments", &file]).success();
    assert!(
        text.contains("  and 90,000 segments more: see --json\n"),
        "{}",
        text.len()
    );
    let text = tool::run(["inspect", "--segments", "--json", &file]).success();
    assert!(text.len() < 256 * n, "{}", text.len());
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        report["modules"][0]["segments"].as_array().map(Vec::len),
        Some(n)
    );
    // They have one reason.
    assert_eq!(
        report["modules"][0]["reasons"],
        json!([{"reason": "passive", "memory": null, "count": n, "bytes": 0,
            "segments": [[0, n - 1]]}])
    );
}
