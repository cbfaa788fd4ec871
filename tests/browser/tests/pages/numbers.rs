//! The numbers of a page are those of `--json`.

use serde_json::Value;

use crate::tab::{DESKTOP, Tab};
use crate::tool;

const POLICIES: [&str; 3] = ["balanced", "reference", "smallest"];

/// Reads a page: its headline, and for each memory the facts and the table of policies.
const PAGE: &str = r#"({
  headline: document.querySelector(".headline").textContent,
  memories: [...document.querySelectorAll("section.memory")].map((it) => ({
    decision: it.querySelector("h3 .decision").textContent,
    facts: Object.fromEntries([...it.querySelectorAll(".facts div")].map((row) => [row.children[0].textContent, row.children[1].textContent])),
    policies: [...it.querySelectorAll(".policies tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent.trim())),
    runs: [...it.querySelectorAll(".runs tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent)),
    segments: [...it.querySelectorAll(".segments tbody tr")].map((row) => [...row.children].map((cell) => cell.textContent)),
  })),
})"#;

fn number(text: &Value) -> u64 {
    let digits = text.as_str().expect("text").replace(',', "");
    digits.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn memories(report: &Value) -> Vec<&Value> {
    let modules = report["modules"].as_array().expect("modules");
    modules
        .iter()
        .flat_map(|it| it["memories"].as_array().expect("memories"))
        .collect()
}

#[track_caller]
fn check(name: &str, options: &[&str]) {
    let file = tool::module(name);
    let report = tool::json(&file, &[&["--segments"], options].concat());
    let by_policy = POLICIES.map(|it| tool::json(&file, &[&["--policy", it], options].concat()));
    let mut tab = Tab::open(&tool::page(&file, options), DESKTOP);
    let page = tab.eval(PAGE);
    assert_eq!(page["headline"], report["headline"]["text"], "{name}");
    let shown = page["memories"].as_array().expect("memories");
    let expected = memories(&report);
    assert_eq!(shown.len(), expected.len(), "{name}");
    for (nth, (shown, expected)) in shown.iter().zip(&expected).enumerate() {
        let what = format!("{name}, {nth}");
        assert_eq!(shown["decision"], expected["decision"], "{what}");
        let facts = [
            ("initial bytes", "min_bytes"),
            ("data bytes", "data_bytes"),
            ("image bytes", "image_bytes"),
            ("nonzero host pages", "nonzero_pages"),
            ("segments in the image", "baked"),
            ("segments replayed", "replayed"),
        ];
        for (fact, field) in facts {
            assert_eq!(
                number(&shown["facts"][fact]),
                expected[field],
                "{what}: {fact}"
            );
        }
        let runs: Vec<(u64, u64)> = expected["runs"]
            .as_array()
            .expect("runs")
            .iter()
            .map(|it| {
                (
                    it["addr"].as_u64().expect("a number"),
                    it["len"].as_u64().expect("a number"),
                )
            })
            .collect();
        let shown_runs: Vec<(u64, u64)> = shown["runs"]
            .as_array()
            .expect("runs")
            .iter()
            .map(|it| (hexadecimal(&it[0]), number(&it[1])))
            .collect();
        assert_eq!(shown_runs, runs, "{what}");
        check_policies(&what, shown, nth, &by_policy);
    }
    check_segments(name, &page, &report);
    tab.is_silent();
}

fn hexadecimal(text: &Value) -> u64 {
    let text = text.as_str().expect("text");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_else(|_| panic!("{text}"))
}

#[track_caller]
fn check_policies(what: &str, shown: &Value, nth: usize, by_policy: &[Value; 3]) {
    let rows = shown["policies"].as_array().expect("rows");
    if rows.is_empty() {
        return;
    }
    assert_eq!(rows.len(), POLICIES.len(), "{what}");
    for ((row, policy), report) in rows.iter().zip(POLICIES).zip(by_policy) {
        let memory = memories(report)[nth];
        assert!(
            row[0].as_str().is_some_and(|it| it.starts_with(policy)),
            "{what}: {row}"
        );
        assert_eq!(row[1], memory["decision"], "{what}: {policy}");
        let pages = memory["image_bytes"].as_u64().expect("a number") / 4096;
        let n_runs = memory["runs"].as_array().expect("runs").len() as u64;
        assert_eq!(number(&row[4]), pages, "{what}: {policy}");
        assert_eq!(number(&row[6]), n_runs, "{what}: {policy}");
        for (column, field) in [
            (3, "image_bytes"),
            (5, "nonzero_pages"),
            (7, "baked"),
            (8, "replayed"),
        ] {
            assert_eq!(
                number(&row[column]),
                memory[field],
                "{what}: {policy}, {field}"
            );
        }
    }
}

/// The table lists the segments that have an address and a length.
#[track_caller]
fn check_segments(name: &str, page: &Value, report: &Value) {
    let modules = report["modules"].as_array().expect("modules");
    let all = modules
        .iter()
        .flat_map(|it| it["segments"].as_array().expect("segments"));
    let mut expected: Vec<(u64, u64, u64)> = all
        .filter(|it| {
            !it["address"].is_null() && it["length"] != 0 && it["reason"] != "out_of_bounds"
        })
        .map(|it| ["index", "address", "length"].map(|field| it[field].as_u64().expect("a number")))
        .map(|it| (it[0], it[1], it[2]))
        .collect();
    let shown = page["memories"].as_array().expect("memories").iter();
    let mut shown: Vec<(u64, u64, u64)> = shown
        .flat_map(|it| it["segments"].as_array().expect("segments"))
        .map(|it| (number(&it[0]), hexadecimal(&it[2]), number(&it[3])))
        .collect();
    expected.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, expected, "{name}");
}

#[test]
fn of_small_modules() {
    for name in [
        "tour.wasm",
        "multi-memory.wasm",
        "imported.wasm",
        "overlap.wasm",
        "zero-only.wasm",
        "trap.wasm",
    ] {
        check(name, &[]);
    }
}

#[test]
fn of_a_component() {
    check("component.wasm", &[]);
}

#[test]
fn of_threaded_modules() {
    check("threads.wasm", &[]);
    let options = [
        "--assume-zeroed-imports",
        "--start-function",
        "already-initialized-tls",
    ];
    check("threads.wasm", &options);
}

/// The script counts what it draws as the report does.
#[test]
fn of_the_script() {
    let mut tab = Tab::open(&tool::page(&tool::module("overlap.wasm"), &[]), DESKTOP);
    let report = tool::json(&tool::module("overlap.wasm"), &[]);
    tab.eval("document.querySelector('.viewer [data-do=whole]').click()");
    tab.settle();
    let details = tab.text("document.querySelector('.details').textContent");
    let baked = &report["headline"]["baked"];
    assert!(
        details.contains(&format!(": {baked} segments, 1 run")),
        "{details}"
    );
}
