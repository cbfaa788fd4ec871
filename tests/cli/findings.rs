//! `inspect --require`, as a CI uses it.

use serde_json::Value;

use crate::tool::{self, Scratch};

#[track_caller]
fn violated(args: &[&str], lines: &[&str]) {
    let result = tool::run(["inspect"].iter().chain(args));
    let found: Vec<&str> = result.stderr.lines().collect();
    assert_eq!((result.code, &*found), (1, lines), "{}", result.stdout);
    assert!(!result.stdout.is_empty(), "the report is shown too");
}

#[test]
fn violations_are_one_line_each() {
    violated(
        &["tour.wasm", "--require", "static"],
        &[
            "violation: tour.wasm: --require static: segment 6 (memory 0, 19 bytes) not in an \
           image: its address depends on global 0 (host.base)",
        ],
    );
    violated(
        &[
            "tour.wasm",
            "--require",
            "no-replay",
            "--require",
            "max-image=8K",
        ],
        &[
            "violation: tour.wasm: --require no-replay: segment 6 (memory 0, 19 bytes) not in \
             an image: its address depends on global 0 (host.base)",
            "violation: tour.wasm: --require max-image=8192: images of 16,384 bytes exceed the \
             limit of 8,192 bytes",
        ],
    );
    // Nothing is replayed, but the start function copies its data.
    violated(
        &[
            "threads.wasm",
            "--require",
            "static",
            "--require",
            "no-replay",
        ],
        &[
            "violation: threads.wasm: --require static: 49 bytes left to the start function: the \
             policy leaves it unchanged (see --start-function)",
        ],
    );
}

/// Regression: what a start function may copy was not noticed, unless it was known to.
#[test]
fn a_start_function_that_may_copy() {
    let scratch = Scratch::new();
    let threads = include_str!("../modules/threads.wat");
    let small = threads.replace("(memory 2 16 shared)", "(memory 1 16 shared)");
    let small = scratch.module("small.wasm", &small);
    let line = |file: &str, what: &str| format!("violation: {file}: --require static: {what}");
    let why = "49 bytes left to the start function: a write at address 0x10000 ends past the \
               memory's known size of 0x10000 bytes";
    violated(&[&small, "--require", "static"], &[&line(&small, why)]);
    // The memory may be larger than declared.
    let report = tool::run(["inspect", &small]).success();
    assert!(report.contains(" --memory env.memory=BYTES "), "{report}");
    let host = ["--memory", "env.memory=128K", "--assume-zeroed-imports"];
    let start = ["--start-function", "writes-stripped", "--require", "static"];
    tool::run([&["inspect", &small][..], &host, &start].concat()).success();

    let own = |body: &str| {
        format!(r#"(module (memory 1) (data $p "passive") (func $s {body}) (start $s))"#)
    };
    let copies = "(memory.init $p (i32.const 8) (i32.const 0) (i32.const 7))";
    let copies = scratch.module("copies.wasm", &own(copies));
    let result = tool::run(["inspect", &copies, "--require", "static"]);
    let start = line(&copies, "7 bytes perhaps left to the start function: ");
    assert!(result.stderr.starts_with(&start), "{}", result.stderr);
    assert_eq!(result.code, 1);

    // What it computes is the program's own business.
    let stores =
        own("(i32.store (i32.const 0) (i32.const 1))").replace("$p \"", "(i32.const 0) \"");
    let stores = scratch.module("stores.wasm", &stores);
    tool::run(["inspect", &stores, "--require", "static"]).success();
}

#[test]
fn conditions_that_hold() {
    for args in [
        &[
            "hello.wasm",
            "--require",
            "static",
            "--require",
            "no-replay",
        ][..],
        &["hello.wasm", "--require", "max-image=8K"],
        &[
            "tour.wasm",
            "--require",
            "static",
            "--global",
            "host.base=0",
        ],
        &["no-memory.wasm", "--require", "static"],
        // Passive segments without a start function are the program's own.
        &["threads.wasm", "--require", "no-replay"],
        &["hello.wasm", "component.wasm", "--require", "static"],
    ] {
        tool::run(["inspect"].iter().chain(args)).success();
    }
}

#[test]
fn artifacts_too() {
    let scratch = Scratch::new();
    let file = scratch.path("app.meminit");
    tool::run(["build", "tour.wasm", "-o", &file]).success();
    let line = |what: &str| format!("violation: {file}: --require {what}");
    violated(
        &[&file, "--require", "no-replay", "--require", "max-image=1"],
        &[
            &line("no-replay: 1 segment to replay"),
            &line("max-image=1: images of 16,384 bytes exceed the limit of 1 byte"),
        ],
    );

    // All of its data is left to the start function, of which an artifact knows nothing.
    tool::run(["build", "threads.wasm", "-o", &file]).success();
    violated(
        &[&file, "--require", "static"],
        &[&line(
            "static: no image; what a start function writes is not recorded, so inspect the module",
        )],
    );
    tool::run(["inspect", &file, "--require", "no-replay"]).success();
}

/// A module whose data was taken out leaves nothing to its start function.
#[test]
fn a_stripped_module() {
    let scratch = Scratch::new();
    let (artifact, stripped) = (scratch.path("app.meminit"), scratch.path("app.wasm"));
    let build = ["build", "threads.wasm", "--assume-zeroed-imports"];
    let start = ["--start-function", "writes-stripped"];
    let outputs = ["-o", &artifact, "--strip", &stripped];
    tool::run([&build[..], &start, &outputs].concat()).success();
    tool::run(["inspect", &stripped, "--require", "static"]).success();
    tool::run(["inspect", &artifact, "--require", "static"]).success();
}

/// The component's finding names the core module.
#[test]
fn a_component() {
    let scratch = Scratch::new();
    let file = scratch.module(
        "app.wasm",
        r#"(component (core module (memory 1))
            (core module (import "e" "m" (memory 1)) (data (i32.const 0) "x")))"#,
    );
    let line = format!(
        "violation: {file}: --require static: core module 1: segment 0 (memory 0, 1 byte) not \
         in an image: its memory is imported (e.m)"
    );
    violated(&[&file, "--require", "static"], &[&line]);
}

#[test]
fn json_has_the_findings() {
    let result = tool::run([
        "inspect",
        "tour.wasm",
        "--format",
        "json",
        "--require",
        "static",
    ]);
    let report: Value = serde_json::from_str(&result.stdout).expect("JSON");
    assert_eq!(result.code, 1);
    assert_eq!(report["findings"][0]["requirement"], "static");
    let args = [
        "inspect",
        "tour.wasm",
        "hello.wasm",
        "--json",
        "--require",
        "static",
    ];
    let result = tool::run(args);
    let report: Value = serde_json::from_str(&result.stdout).expect("JSON");
    assert_eq!(report["files"][0]["findings"][0]["requirement"], "static");
    assert_eq!(report["files"][1]["findings"], serde_json::json!([]));
}

#[test]
fn github_reads_annotations() {
    let args = [
        "inspect",
        "--format",
        "github",
        "--require",
        "static",
        "tour.wasm",
        "hello.wasm",
    ];
    let result = tool::run(args);
    assert_eq!((result.code, &*result.stderr), (1, ""));
    let lines: Vec<&str> = result.stdout.lines().collect();
    assert_eq!(
        lines,
        [
            "wasm-meminit: tour.wasm: hybrid",
            "::error file=tour.wasm,title=wasm-meminit%3A --require static::segment 6 (memory \
             0, 19 bytes) not in an image: its address depends on global 0 (host.base)",
            "wasm-meminit: hello.wasm: static",
        ]
    );
}

/// A file that cannot be read is annotated, alone and among others.
#[test]
fn unreadable_files_are_annotated() {
    let scratch = Scratch::new();
    let file = scratch.file("bad.wasm", "no module");
    for args in [vec![&*file], vec!["hello.wasm", &file]] {
        let result = tool::run(["inspect", "--format", "github"].into_iter().chain(args));
        assert_eq!(result.code, 2);
        let last = result.stdout.lines().last().expect("a line");
        // A drive has a colon.
        let escaped = file.replace(':', "%3A");
        let start = format!("::error file={escaped},title=wasm-meminit::{file}: neither ");
        assert!(last.starts_with(&start), "{last}");
        assert!(result.stderr.starts_with("error: "), "{}", result.stderr);
    }
}

/// A file or an import that is named like a command does not become one.
#[test]
fn names_cannot_inject_commands() {
    let scratch = Scratch::new();
    let file = scratch.module(
        "a,b:100%.wasm",
        r#"(module (import "::error::" "x\0a::set-output name=y::z" (global i32)) (memory 1)
            (data (global.get 0) "x"))"#,
    );
    let result = tool::run([
        "inspect",
        "--format",
        "github",
        "--require",
        "static",
        &file,
    ]);
    let lines: Vec<&str> = result.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("wasm-meminit: "), "{lines:?}");
    assert!(lines[1].contains("a%2Cb%3A100%25.wasm,title="), "{lines:?}");
    assert!(
        lines[1].ends_with("(::error::.x\\n::set-output name=y::z)"),
        "{lines:?}"
    );
}

#[test]
fn conditions_are_checked_as_arguments() {
    for bad in ["statik", "max-image", "max-image=1X"] {
        let result = tool::run(["inspect", "tour.wasm", "--require", bad]);
        assert_eq!((result.code, &*result.stdout), (2, ""), "{bad}");
    }
    let args = ["inspect", "tour.wasm", "--json", "--format", "text"];
    assert_eq!(tool::run(args).code, 2);
}
