//! The JSON of `inspect`, as documented in `docs/inspect-json.md`.

use serde_json::Value;

use crate::tool::{self, Scratch, module_names};

fn json(args: &[&str]) -> Value {
    let text = tool::run(args).success();
    serde_json::from_str(&text).expect("JSON")
}

/// The documented fields and their types.
type Fields = &'static [(&'static str, fn(&Value) -> bool)];

const SEGMENTS: Fields = &[
    ("active", Value::is_u64),
    ("passive", Value::is_u64),
    ("baked", Value::is_u64),
    ("replayed", Value::is_u64),
];

const MEMORY: Fields = &[
    ("index", Value::is_u64),
    ("imported", Value::is_boolean),
    ("index_type", |it| it == "i32" || it == "i64"),
    ("shared", Value::is_boolean),
    ("page_size", |it| it == 1 || it == 65_536),
    ("min_bytes", |it| it.is_u64() || it.is_null()),
    ("max_bytes", |it| it.is_u64() || it.is_null()),
    ("decision", |it| {
        ["none", "static", "hybrid", "segmented"]
            .iter()
            .any(|word| it == word)
    }),
    ("data_bytes", Value::is_u64),
    ("extent", |it| {
        it.is_null() || (it["min"].is_u64() && it["max"].is_u64())
    }),
    ("density", |it| it.is_f64() || it.is_null()),
    ("image_bytes", Value::is_u64),
    ("nonzero_pages", Value::is_u64),
    ("baked", Value::is_u64),
    ("replayed", Value::is_u64),
    ("overlapping", Value::is_u64),
    ("out_of_order", Value::is_u64),
    ("runs", Value::is_array),
];

const MODULE: Fields = &[
    ("name", |it| it.is_string() || it.is_null()),
    ("sha256", Value::is_string),
    ("counts", Value::is_object),
    ("elements_may_trap", Value::is_boolean),
    ("memories", Value::is_array),
    ("omitted_memories", Value::is_u64),
    ("imports", Value::is_array),
    ("reasons", Value::is_array),
    ("start_function", |it| it.is_object() || it.is_null()),
];

const REASON: Fields = &[
    ("reason", Value::is_string),
    ("memory", |it| it.is_u64() || it.is_null()),
    ("count", Value::is_u64),
    ("bytes", Value::is_u64),
    ("segments", Value::is_array),
];

#[track_caller]
fn has(fields: Fields, object: &Value) {
    for (name, is_right) in fields {
        let value = object
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {object}"));
        assert!(is_right(value), "{name} is {value}");
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

#[test]
fn every_field_exists_and_numbers_add_up() {
    for name in module_names() {
        let report = json(&["inspect", &format!("{name}.wasm"), "--json"]);
        assert_eq!(report["format"], 3);
        for module in list(&report["modules"]) {
            has(MODULE, module);
            let segments = &module["counts"];
            has(SEGMENTS, segments);
            let count = |name| number(&segments[name]);
            assert_eq!(
                count("active"),
                count("baked") + count("replayed"),
                "{name}"
            );
            let reasons = list(&module["reasons"]);
            let n_reasons: u64 = reasons.iter().map(check_reason).sum();
            assert_eq!(n_reasons, count("replayed") + count("passive"), "{name}");
            list(&module["memories"]).iter().for_each(check_memory);
        }
    }
}

/// Checks a reason and returns how many segments have it.
#[track_caller]
fn check_reason(reason: &Value) -> u64 {
    has(REASON, reason);
    let ranges = list(&reason["segments"]);
    let len = |it: &Value| number(&it[1]) - number(&it[0]) + 1;
    let count = number(&reason["count"]);
    assert_eq!(ranges.iter().map(len).sum::<u64>(), count);
    count
}

#[track_caller]
fn check_memory(memory: &Value) {
    has(MEMORY, memory);
    let runs = list(&memory["runs"]);
    let total: u64 = runs.iter().map(|run| number(&run["len"])).sum();
    assert_eq!(number(&memory["image_bytes"]), total);
    for run in runs {
        assert_eq!(
            (number(&run["addr"]) % 4096, number(&run["len"]) % 4096),
            (0, 0)
        );
    }
    let is_baked = memory["decision"] == "static" || memory["decision"] == "hybrid";
    assert_eq!(number(&memory["baked"]) != 0, is_baked);
}

#[test]
fn fields_come_in_the_documented_order() {
    let text = tool::run(["inspect", "tour.wasm", "--json"]).success();
    let mut from = 0;
    for name in [
        "format", "tool", "name", "file", "name", "headline", "modules", "name", "sha256", "counts",
    ]
    .into_iter()
    .chain(SEGMENTS.iter().map(|(name, _)| *name))
    .chain(["elements_may_trap", "memories"])
    .chain(MEMORY.iter().map(|(name, _)| *name))
    .chain(["omitted_memories", "imports", "reasons"])
    .chain(REASON.iter().map(|(name, _)| *name))
    .chain([
        "start_function",
        "policy",
        "host_page_size",
        "hint",
        "findings",
    ]) {
        let at = text[from..].find(&format!("\"{name}\":"));
        from += at.unwrap_or_else(|| panic!("{name} is missing or out of order"));
    }
}

#[test]
fn values_describe_the_module() {
    let scratch = Scratch::new();
    let module = scratch.module(
        "named.wasm",
        r#"(module $thing
            (import "env" "base" (global $base i64))
            (memory i64 2 4)
            (data (i64.const 0x1000) "hello")
            (data (i64.const 0x1002) "y")
            (data (global.get $base) "dynamic")
            (data "passive"))"#,
    );
    let report = json(&["inspect", &module, "--json"]);
    let module = &report["modules"][0];
    assert_eq!(module["name"], "thing");
    let segments = serde_json::json!({"active": 3, "passive": 1, "baked": 2, "replayed": 1});
    assert_eq!(module["counts"], segments);
    let memory = &module["memories"][0];
    assert_eq!(memory["min_bytes"], 0x2_0000);
    assert_eq!(memory["max_bytes"], 0x4_0000);
    assert_eq!(memory["decision"], "hybrid");
    assert_eq!(memory["data_bytes"], 13);
    assert_eq!(memory["extent"]["min"], 0x1000);
    assert_eq!(memory["extent"]["max"], 0x1005);
    assert_eq!(memory["overlapping"], 1);
    assert_eq!(
        memory["runs"],
        serde_json::json!([{"addr": 0x1000, "len": 0x1000}])
    );
    let reasons = serde_json::json!([
        {"reason": "dynamic_offset", "global": 0, "memory": 0, "count": 1, "bytes": 7,
         "segments": [[2, 2]]},
        {"reason": "passive", "memory": null, "count": 1, "bytes": 7, "segments": [[3, 3]]},
    ]);
    let imports = serde_json::json!([
        {"module": "env", "memories": [], "globals": [{"index": 0, "name": "base"}]},
    ]);
    assert_eq!(module["imports"], imports);
    assert_eq!(module["reasons"], reasons);
}

#[test]
fn sizes_need_all_64_bits() {
    let scratch = Scratch::new();
    let text = "(module (memory i64 0x1000000000000))";
    let report = json(&["inspect", &scratch.module("whole.wasm", text), "--json"]);
    assert_eq!(
        report["modules"][0]["memories"][0]["min_bytes"],
        Value::Null
    );
    let text = "(module (memory i64 0xffffffffffff))";
    let report = json(&["inspect", &scratch.module("most.wasm", text), "--json"]);
    assert_eq!(
        report["modules"][0]["memories"][0]["min_bytes"],
        0xffff_ffff_ffff_0000_u64
    );
}

#[test]
fn text_and_binary_give_one_report() {
    for name in module_names() {
        // The hint repeats the command that was given, with the file's name.
        let report = |file: &str| {
            let mut report = json(&["inspect", file, "--json"]);
            assert_eq!(report["file"]["name"], file);
            // The modules are equal, the files are not.
            report["file"].take();
            let command = report["hint"]["command"].take();
            (
                report,
                command.as_str().map(|it| it.replace(".wat", ".wasm")),
            )
        };
        let text = report(&format!("{name}.wat"));
        assert_eq!(text, report(&format!("{name}.wasm")), "{name}");
    }
}
