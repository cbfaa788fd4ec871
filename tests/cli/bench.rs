//! `bench`: the form of its output; the figures depend on the machine.

use serde_json::Value;

use crate::tool;

/// Replaces every number with `N`, and every run of spaces or dashes with one.
fn masked(report: &str) -> String {
    let mut lines = Vec::new();
    for line in report.lines() {
        let words = line.split_whitespace().map(|word| {
            let is_number = word.starts_with(|it: char| it.is_ascii_digit())
                && word
                    .chars()
                    .all(|it| it.is_ascii_digit() || ".,".contains(it));
            if is_number { "N" } else { word }
        });
        let line: String = words.collect::<Vec<_>>().join(" ");
        lines.push(line.replace('-', ""));
    }
    lines.join("\n")
}

#[test]
fn a_row_for_each_way_and_each_number_of_pages() {
    let args = [
        "bench",
        "tour.wasm",
        "--time",
        "1",
        "--pages",
        "0,3,5000",
        "--ascii",
    ];
    let report = tool::run(args).success();
    // What the machine supports is in the lines above the tables.
    let (system, tables) = report.split_once("memory 0").expect("a memory");
    assert!(system.starts_with("tour.wasm\n\nimages in: "), "{system}");
    assert_eq!(
        masked(tables),
        ", N MiB, an image of N KiB in N runs, N segment still to replay
initialising a fresh memory us x

replay N N
copy N N
map N N

us per use; pages of N KiB auto scan and copy discard remap copy

N N N N N N
N N N N N N"
    );
}

#[test]
fn empty_and_oversized_memories_are_not_measured() {
    let report = tool::run(["bench", "empty.wasm", "--time", "1"]).success();
    assert!(
        report.contains("not measured: its initial size is 0"),
        "{report}"
    );

    let scratch = tool::Scratch::new();
    let text = "(module (memory i64 0x1_0000_0000_0000) (memory 1))";
    let module = scratch.module("endless.wasm", text);
    let report = tool::run(["bench", &module, "--time", "1", "--pages", "0"]).success();
    assert!(
        report.contains("not measured: it does not fit in the address space"),
        "{report}"
    );
    assert!(report.contains("memory 1, 64 KiB, no image"), "{report}");
}

#[test]
fn the_json_has_its_fields() {
    let json = tool::run([
        "bench",
        "tour.wasm",
        "--time",
        "1",
        "--pages",
        "2",
        "--json",
    ])
    .success();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["format"], &json["host_page_size"]),
        (&1.into(), &4096.into())
    );
    for name in ["image_source", "scan", "batch", "strategy"] {
        assert!(json["capabilities"][name].is_string(), "{name}");
    }
    let memory = &json["memories"][0];
    for name in ["index", "bytes", "image_bytes", "runs", "replayed"] {
        assert!(memory[name].is_u64(), "{name}");
    }
    assert!(memory["not_measured"].is_null());
    let starts = memory["starts"].as_array().expect("a list");
    let ways: Vec<&str> = starts.iter().filter_map(|it| it["way"].as_str()).collect();
    assert_eq!(ways, ["replay", "copy", "map"]);
    let is_time = |it: &Value| it.as_f64().is_some_and(|it| 0.0 < it && it.is_finite());
    assert!(
        starts
            .iter()
            .all(|it| is_time(&it["nanoseconds"]) && is_time(&it["ratio"]))
    );
    assert_eq!(starts[0]["ratio"], 1.0);
    let by = memory["resets"][0]["by"].as_array().expect("a list");
    assert_eq!(by.len(), 5);
    for it in by {
        assert!(is_time(&it["reset_nanoseconds"]) && is_time(&it["cycle_nanoseconds"]));
        assert!(it["strategy"].is_string());
    }
}

#[test]
fn invalid_arguments_are_errors() {
    for args in [
        ["bench", "tour.wasm", "--time", "0"],
        ["bench", "tour.wasm", "--pages", "x"],
        ["bench", "tour.wasm", "--module", "1"],
    ] {
        let result = tool::run(args);
        assert_eq!(result.code, 2, "{}", result.stderr);
        assert!(result.stdout.is_empty());
    }
}
