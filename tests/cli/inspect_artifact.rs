//! `inspect` of artifacts.

use std::fs;

use serde_json::Value;

use crate::tool::{self, Scratch};

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&tool::run(args).success()).expect("JSON")
}

/// Builds an artifact of one of our modules.
fn artifact(scratch: &Scratch, options: &[&str]) -> String {
    let out = scratch.path("app.meminit");
    let args = ["build", "-o", &out]
        .into_iter()
        .chain(options.iter().copied());
    tool::run(args).success();
    out
}

#[test]
fn the_text_shows_what_is_in_an_artifact() {
    let scratch = Scratch::new();
    let file = artifact(&scratch, &["tour.wasm", "--global", "host.base=0x1000"]);
    let text = tool::run(["inspect", &file]).success();
    let size = fs::metadata(&file).expect("written").len();
    assert!(text.starts_with(&format!("{file}: artifact, ")), "{text}");
    assert!(size < 1000 || text.contains(','), "{text}");
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        text.contains(&format!("built by wasm-meminit {version}\n")),
        "{text}"
    );
    assert!(text.contains("; nothing to replay\n"), "{text}");
    assert!(text.contains("source      sha256 "), "{text}");
    assert!(text.contains("\nAssumptions\n"), "{text}");
    assert!(text.contains("global 0 (\"host\" \"base\") is "), "{text}");
    assert!(text.contains("\nmemory 0: 16,777,216 bytes\n"), "{text}");

    let file = artifact(&scratch, &["tour.wasm"]);
    let text = tool::run(["inspect", &file]).success();
    assert!(text.contains("; 1 segment to replay, 19 bytes\n"), "{text}");
    let line = "  segment 6 (memory 0, 19 bytes): at the address global.get 0 i32.const 64\n";
    assert!(text.contains(line), "{text}");
}

/// Every run is where the report says: its bytes are those of the file at that offset.
#[test]
fn numbers_are_those_of_the_module() {
    let scratch = Scratch::new();
    for name in ["hello", "tour", "multi-memory", "overlap", "memory64"] {
        let module = format!("{name}.wasm");
        let file = artifact(&scratch, &[&module]);
        let bytes = fs::read(&file).expect("written");
        let of_artifact = json(&["inspect", "--json", &file]);
        let of_module = json(&["inspect", "--json", &module]);
        let artifact = &of_artifact["artifacts"][0];
        assert_eq!(artifact["source_sha256"], of_module["modules"][0]["sha256"]);
        assert_eq!(of_artifact["file"]["size"], bytes.len());
        for key in ["image_bytes", "host_pages", "replayed"] {
            assert_eq!(
                of_artifact["headline"][key], of_module["headline"][key],
                "{name}"
            );
        }
        let memories = artifact["memories"].as_array().expect("a list");
        for (nth, memory) in memories.iter().enumerate() {
            let expected = &of_module["modules"][0]["memories"][nth];
            for key in [
                "index",
                "imported",
                "index_type",
                "shared",
                "min_bytes",
                "image_bytes",
            ] {
                assert_eq!(memory[key], expected[key], "{name}");
            }
            for run in memory["runs"].as_array().expect("a list") {
                let number = |key: &str| run[key].as_u64().expect("a number") as usize;
                let (from, len) = (number("file_offset"), number("len"));
                let stored = bytes.get(from..from + len).expect("in the file");
                assert!(stored.iter().any(|it| *it != 0), "{name}: an empty run");
            }
        }
    }
    // The first byte of the data is at its address.
    let file = artifact(&scratch, &["hello.wasm"]);
    let report = json(&["inspect", "--json", &file]);
    let run = &report["artifacts"][0]["memories"][0]["runs"][0];
    let at = 0x400 - run["addr"].as_u64().expect("a number")
        + run["file_offset"].as_u64().expect("a number");
    let bytes = fs::read(&file).expect("written");
    assert_ne!(bytes[at as usize], 0);
    assert_eq!(bytes[at as usize - 1], 0);
}

#[test]
fn a_threaded_artifact_names_its_promises() {
    let scratch = Scratch::new();
    let file = artifact(
        &scratch,
        &[
            "threads.wasm",
            "--assume-zeroed-imports",
            "--start-function",
            "writes-stripped",
        ],
    );
    let text = tool::run(["inspect", &file]).success();
    assert!(text.contains("flag at 0x30c"), "{text}");
    assert!(text.contains("imported, shared"), "{text}");
    let report = json(&["inspect", "--json", &file]);
    assert_eq!(report["artifacts"][0]["start_function"]["flag"], 0x30c);
    let kinds = report["artifacts"][0]["assumptions"]
        .as_array()
        .expect("a list");
    let has = |kind: &str| kinds.iter().any(|it| it["kind"] == kind);
    assert!(has("zeroed_memory") && has("start_function"), "{report}");
}

#[test]
fn a_damaged_artifact_and_options_for_modules_are_refused() {
    let scratch = Scratch::new();
    let file = artifact(&scratch, &["tour.wasm"]);
    let bytes = fs::read(&file).expect("written");
    for at in [9, 20, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let file = scratch.file("damaged.meminit", damaged);
        let result = tool::run(["inspect", &file]);
        assert_eq!((result.code, &*result.stdout), (2, ""), "{at}");
        assert!(
            result.stderr.starts_with(&format!("error: {file}: ")),
            "{at}"
        );
    }
    for (option, value) in [
        ("--global", "host.base=1"),
        ("--memory", "host.memory=1M"),
        ("--policy", "smallest"),
        ("--page-size", "16K"),
        ("--start-function", "writes-stripped"),
    ] {
        let cause = "applies to modules, but this is an artifact, which is planned already";
        let line = format!("error: {file}: {option} {cause}");
        for command in [&["inspect", &*file][..], &["dump", &file, "0"]] {
            let args = [command, &[option, value]].concat();
            tool::run(args).fails_with(2, &line);
        }
    }
    // Of several files, it is for the modules.
    tool::run(["inspect", "--policy", "smallest", "tour.wasm", &file]).success();
    for option in ["--segments", "--html=page.html"] {
        let result = tool::run(["inspect", option, &file]);
        assert_eq!(result.code, 2);
        assert!(
            result.stderr.contains("needs a module"),
            "{}",
            result.stderr
        );
    }
}
