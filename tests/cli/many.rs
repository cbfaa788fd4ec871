//! `inspect` of several files and of folders.

use std::fs;
use std::path::MAIN_SEPARATOR;

use serde_json::Value;

use crate::tool::{self, Scratch};

fn copy(scratch: &Scratch, name: &str, to: &str) -> String {
    let bytes = fs::read(tool::modules().join(name)).expect("ours");
    scratch.file(to, bytes)
}

#[test]
fn a_row_for_each_file_and_totals() {
    let text = tool::run(["inspect", "tour.wasm", "hello.wasm", "threads.wasm"]).success();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|it| it.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 5, "{text}");
    let tour = [
        "hybrid",
        "module",
        "222",
        "203",
        "91.4",
        "%",
        "16,384",
        "1",
        "tour.wasm",
    ];
    assert_eq!(rows[1], tour);
    assert_eq!(rows[3][0], "segmented", "{text}");
    let total = [
        "total", "319", "251", "78.7", "%", "24,576", "1", "3", "files",
    ];
    assert_eq!(rows[4], total);
    assert!(text.lines().all(|it| it.chars().count() <= 90), "{text}");
}

#[test]
fn a_folder_is_read_at_any_depth() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("deep")).expect("created");
    copy(&scratch, "tour.wat", "deep/z.wat");
    copy(&scratch, "hello.wasm", "b.wasm");
    copy(&scratch, "hello.wasm", "ignored.txt");
    let out = scratch.path("a.meminit");
    tool::run(["build", "tour.wasm", "-o", &out]).success();
    let folder = scratch.path("");
    let report = tool::run(["inspect", "--json", &folder]).success();
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let files = report["files"].as_array().expect("a list");
    let names: Vec<&str> = files
        .iter()
        .map(|it| it["file"]["name"].as_str().expect("a name"))
        .map(|it| it.strip_prefix(&*folder).expect("in the folder"))
        .collect();
    let deep = format!("deep{MAIN_SEPARATOR}z.wat");
    assert_eq!(names, ["a.meminit", "b.wasm", &deep]);
    let kinds: Vec<&Value> = files.iter().map(|it| &it["file"]["kind"]).collect();
    assert_eq!(kinds, ["artifact", "module", "module"]);
    // The hash and the size are those of the file, even of text.
    for (nth, name) in names.iter().enumerate() {
        let bytes = fs::read(scratch.path(name)).expect("exists");
        assert_eq!(files[nth]["file"]["size"], bytes.len(), "{name}");
    }
    assert_eq!(files[1]["data"]["in_images"], 48);
    assert_eq!(files[0]["data"], Value::Null);
    assert_eq!(files[0]["image_bytes"], files[2]["image_bytes"]);
    assert_eq!(report["total"]["files"], 3);
    assert_eq!(report["total"]["data_bytes"], 48 + 222);
    // A folder with one file has the same form.
    let report = tool::run(["inspect", "--json", &scratch.path("deep")]).success();
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["total"]["files"], 1);
}

#[test]
fn bad_files_are_reported_and_the_others_shown() {
    let scratch = Scratch::new();
    let bad = scratch.file("bad.wasm", b"\0asm\x01\0\0\0\xff");
    let missing = scratch.path("missing.wasm");
    let args = ["inspect", &bad, "hello.wasm", &missing];
    let result = tool::run(args);
    assert_eq!(result.code, 2);
    assert!(result.stdout.contains(" hello.wasm\n"), "{}", result.stdout);
    assert!(
        result.stdout.contains("1 file, 2 not read\n"),
        "{}",
        result.stdout
    );
    let errors: Vec<&str> = result.stderr.lines().collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].starts_with(&format!("error: {bad}: ")),
        "{errors:?}"
    );
    assert!(
        errors[1].starts_with(&format!("error: {missing}: ")),
        "{errors:?}"
    );
    let result = tool::run(args.into_iter().chain(["--json"]));
    let report: Value = serde_json::from_str(&result.stdout).expect("JSON");
    assert_eq!(
        (result.code, &report["failed"][1]["file"]),
        (2, &missing.as_str().into())
    );
    // A violation does not hide that a file could not be read.
    let result = tool::run(args.into_iter().chain(["--require", "max-image=1"]));
    assert_eq!(result.code, 2);
    assert!(
        result.stderr.contains("violation: hello.wasm: "),
        "{}",
        result.stderr
    );
}

#[test]
fn an_empty_folder_is_an_error() {
    let scratch = Scratch::new();
    let result = tool::run(["inspect", &scratch.path("")]);
    assert_eq!(result.code, 2);
    let cause = "no file in this folder ends with .wasm, .wat or .meminit\n";
    assert!(result.stderr.ends_with(cause), "{}", result.stderr);
}

#[test]
fn options_for_one_file() {
    for option in [
        "--segments",
        "--html=-",
        "--global=e.g=1",
        "--memory=e.m=64K",
    ] {
        let result = tool::run(["inspect", "tour.wasm", "hello.wasm", option]);
        assert_eq!(result.code, 2, "{option}");
        assert!(
            result.stderr.contains("applies to a single file"),
            "{}",
            result.stderr
        );
    }
}

/// A loop of links between folders ends.
#[cfg(unix)]
#[test]
fn links_to_folders_are_not_followed() {
    let scratch = Scratch::new();
    copy(&scratch, "hello.wasm", "a.wasm");
    std::os::unix::fs::symlink(scratch.path(""), scratch.path("loop")).expect("linked");
    let text = tool::run(["inspect", &scratch.path("")]).success();
    assert!(text.contains(" 1 file\n"), "{text}");
}
