//! `bench`: the form of its output; the figures depend on the machine.

use serde_json::Value;

use crate::tool;

/// Replaces every number with `N`, and every run of spaces or dashes with one.
fn masked(report: &str) -> String {
    let mut lines = Vec::new();
    for line in report.lines() {
        let words = line.split_whitespace().map(|word| {
            let is_number = word.starts_with(|it: char| it.is_ascii_digit() || "+~".contains(it))
                && word
                    .chars()
                    .all(|it| it.is_ascii_digit() || ".,+-~%>".contains(it));
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
    let (tables, verdict) = tables.rsplit_once("\n\n").expect("a verdict");
    // Where the captions break depends on the figures in them.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        words(&masked(tables)),
        words(
            ", N MiB, an image of N KiB in N runs, N segment still to replay
Initialising a fresh memory, in us; medians of N rounds, with the quartiles:
way us quartiles x

replay N N N
copy N N N
map N N N

A start, a use that writes that many pages of N KiB, and a reset, in us; medians
of at least N rounds, N half of the distance between the quartiles; fresh: a new
memory for each use:
pages fresh auto scan discard remap copy

N N N N N N N N N N N N N
N N N N N N N N N N N N N"
        )
    );
    assert!(
        verdict.contains("mapping the image at a fresh start"),
        "{verdict}"
    );
    assert!(verdict.contains("a reset is"), "{verdict}");
    assert!(report.is_ascii(), "{report}");
    // No figure is shown as zero.
    let words = tables.split_whitespace();
    let mut figures = words.filter(|it| it.starts_with("0."));
    assert!(
        figures.all(|it| it.contains(|it| ('1'..='9').contains(&it))),
        "{report}"
    );
}

/// The figures of one report agree with each other, however loaded the machine is.
#[test]
fn the_figures_agree() {
    let args = [
        "bench",
        "tour.wasm",
        "--time",
        "5",
        "--pages",
        "0,8",
        "--json",
    ];
    let json: Value = serde_json::from_str(&tool::run(args).success()).expect("JSON");
    let memory = &json["memories"][0];
    let number = |it: &Value| it.as_f64().expect("a number");
    let agree = |it: &Value, ours: &Value, theirs: &Value| {
        assert!(5 <= it["rounds"].as_u64().expect("a number"), "{it}");
        let of_medians = number(ours) / number(theirs);
        match it["difference"].as_str().expect("a word") {
            "faster" => assert!(number(&it["ratio"]) < 1.0 && of_medians < 1.0, "{it}"),
            "slower" => assert!(1.0 < number(&it["ratio"]) && 1.0 < of_medians, "{it}"),
            word => assert_eq!(word, "none"),
        }
    };
    let ordered = |low: &Value, middle: &Value, high: &Value| {
        assert!(number(low) <= number(middle) && number(middle) <= number(high));
    };
    let starts = memory["starts"].as_array().expect("a list");
    for it in starts {
        agree(it, &it["nanoseconds"], &starts[0]["nanoseconds"]);
        ordered(&it["p25"], &it["nanoseconds"], &it["p75"]);
    }
    for it in memory["resets"].as_array().expect("a list") {
        agree(
            it,
            &it["by"][0]["cycle_nanoseconds"],
            &it["fresh_nanoseconds"],
        );
        ordered(&it["fresh_p25"], &it["fresh_nanoseconds"], &it["fresh_p75"]);
        for by in it["by"].as_array().expect("a list") {
            ordered(&by["reset_p25"], &by["reset_nanoseconds"], &by["reset_p75"]);
            ordered(&by["cycle_p25"], &by["cycle_nanoseconds"], &by["cycle_p75"]);
        }
    }
    let verdict = memory["verdict"].as_array().expect("a list");
    let verdict: Vec<&str> = verdict.iter().filter_map(|it| it.as_str()).collect();
    let is_faster = starts[2]["difference"] == "faster";
    assert_eq!(
        verdict[0].contains("cheaper than replaying"),
        is_faster,
        "{verdict:?}"
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

/// Returns the names of all fields, at every depth.
fn all_fields(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => {
            let deeper = map.values().flat_map(all_fields);
            map.keys().cloned().chain(deeper).collect()
        }
        Value::Array(list) => list.iter().flat_map(all_fields).collect(),
        _ => Vec::new(),
    }
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
    let documented = include_str!("../../docs/bench-json.md");
    let fields = all_fields(&json);
    for name in &fields {
        assert!(documented.contains(&format!("\"{name}\"")), "{name}");
    }
    assert!(fields.iter().any(|it| it == "cycle_p75"), "{fields:?}");
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
