//! `diff`: what moved, grew, or is no longer static.

use serde_json::Value;

use crate::tool::{self, RunOutput, Scratch, module_names};

fn diff(args: &[&str]) -> RunOutput {
    tool::run([&["diff"], args].concat())
}

#[track_caller]
fn differs(args: &[&str]) -> String {
    let result = diff(args);
    assert_eq!(
        (result.code, result.stderr.as_str()),
        (1, ""),
        "{}",
        result.stdout
    );
    result.stdout
}

const OLD: &str = r#"(module
    (import "env" "base" (global $base i32))
    (memory 1)
    (data $.rodata (i32.const 0x400) "constants")
    (data $.data (i32.const 0x2000) "variables")
    (data (i32.const 0x3000) "gone")
    (data (i32.const 0x4000) "fixed"))"#;

const NEW: &str = r#"(module
    (import "env" "base" (global $base i32))
    (memory 2)
    (data $.rodata (i32.const 0x1000) "constants")
    (data $.data (i32.const 0x2000) "variables, more")
    (data (i32.const 0x5000) "new")
    (data (global.get $base) "fixed"))"#;

#[test]
fn two_modules() {
    let scratch = Scratch::new();
    let (old, new) = (
        scratch.module("old.wasm", OLD),
        scratch.module("new.wasm", NEW),
    );
    let report = differs(&[&old, &new, "--ascii", "--policy", "smallest"]);
    let expected = format!(
        "A {old}
B {new}

memory 0
  size      64 KiB -> 128 KiB
  decision  static -> hybrid
  image     16,384 bytes in 2 runs -> 12,288 bytes in 2 runs
  replayed  0 segments -> 1 segment
  pages     of 4 KiB: 0 equal, 1 changed, 3 only in A, 2 only in B
  differ    0x0..0x6000

segments: 0 equal, 5 different
  segment 0 (.rodata): moved 0x400 -> 0x1000
  segment 1 (.data): grew by 6 bytes to 15
  segment 2: only in A, 4 bytes at 0x3000
  segment 3: moved 0x4000 -> not known, no longer static: its address depends on global 0
  segment 2: only in B, 3 bytes at 0x5000
"
    );
    assert_eq!(report, expected);
}

/// Nothing differs from itself: the module, its text, its artifact.
#[test]
fn nothing_differs_from_itself() {
    let scratch = Scratch::new();
    for name in module_names() {
        let (wasm, wat) = (format!("{name}.wasm"), format!("{name}.wat"));
        let report = diff(&[&wasm, &wat]).success();
        assert!(report.ends_with("\nno difference\n"), "{report}");
        let artifact = scratch.path(&name);
        for (option, other) in [
            (&[][..], "balanced"),
            (&["--policy", "smallest"], "smallest"),
        ] {
            let mut args = vec!["build", &wasm, "-o", &artifact];
            args.extend(option);
            if name == "component" {
                args.extend(["--module", "0"]);
            }
            tool::run(args).success();
            let mut args = vec![&*wasm, &*artifact];
            if name == "component" {
                args.extend(["--module", "0"]);
            }
            // The module is planned as the artifact records.
            let report = diff(&args).success();
            assert!(
                report.ends_with("\nno difference\n"),
                "{name}, {other}: {report}"
            );
            args.reverse();
            if name != "component" {
                diff(&args).success();
                diff(&[&artifact, &artifact]).success();
            }
        }
    }
}

/// What the artifact records about its host is used for the module.
#[test]
fn an_artifact_is_compared_as_it_was_built() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let global = ["--global", "host.base=0x1000"];
    tool::run([&["build", "tour.wasm", "-o", &artifact][..], &global].concat()).success();
    diff(&["tour.wasm", &artifact]).success();
    diff(&[&["tour.wasm", &artifact][..], &global].concat()).success();
    let report = differs(&["tour.wasm", &artifact, "--global", "host.base=0x5000"]);
    assert!(report.contains("pages     of 4 KiB:"), "{report}");
    let report = differs(&["hello.wasm", &artifact]);
    assert!(report.contains("size"), "{report}");
    for args in [
        &[&artifact, &artifact, "--policy", "smallest"][..],
        &["tour.wasm", &artifact, "--with-policy", "smallest"],
        &["tour.wasm"],
        &["-", "-"],
    ] {
        let result = diff(args);
        assert_eq!((result.code, result.stdout.as_str()), (2, ""), "{args:?}");
    }
}

/// A bundle is compared core module by core module.
#[test]
fn bundles() {
    let scratch = Scratch::new();
    let (bundle, raw) = (scratch.path("bundle"), scratch.path("raw"));
    tool::run(["build", "component.wasm", "-o", &bundle]).success();
    diff(&["component.wasm", &bundle]).success();
    diff(&[&bundle, "component.wasm"]).success();
    diff(&[&bundle, &bundle]).success();
    diff(&[&bundle, "component.wasm", "--module", "1"]).success();
    let report = differs(&["component.wasm", &bundle, "--page-size", "64K"]);
    assert!(report.contains("core module"), "{report}");
    for nth in ["0", "1"] {
        let args = ["0", "32", "--module", nth];
        let rows = |file: &str| {
            let report = tool::run([&["dump", file], &args[..]].concat()).success();
            report
                .lines()
                .skip(2)
                .take(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(rows(&bundle), rows("component.wasm"));
        tool::run(["extract", &bundle, "0", "-o", &raw, "--module", nth]).success();
    }
    let cause = "the bundle has the artifacts of 2 core modules\nhint: select one with --module";
    let line = format!("error: {bundle}: {cause}");
    tool::run(["dump", &bundle, "0"]).fails_with(2, &line);
    tool::run(["extract", &bundle, "0", "-o", &raw]).fails_with(2, &line);
    let third = |file| ["extract", file, "0", "-o", &raw, "--module", "2"];
    let line = "--module 2: the bundle has the artifacts of core modules 0 to 1";
    tool::run(third(&bundle)).fails_with(2, &format!("error: {bundle}: {line}"));
    let single = scratch.path("single");
    tool::run(["build", "tour.wasm", "-o", &single]).success();
    let line = "--module 2: the file has only the artifact of one core module";
    tool::run(third(&single)).fails_with(2, &format!("error: {single}: {line}"));
}

#[test]
fn one_module_under_two_policies() {
    let scratch = Scratch::new();
    let text = r#"(module (memory 1) (data (i32.const 0) "a") (data (i32.const 0x3000) "b"))"#;
    let module = scratch.module("m.wasm", text);
    let report = differs(&[&module, "--with-policy", "smallest"]);
    assert!(report.starts_with(&format!(
        "A {module} (policy balanced)\nB {module} (policy smallest)\n"
    )));
    assert!(
        report.contains("2 equal, 0 changed, 2 only in A, 0 only in B"),
        "{report}"
    );
    assert!(report.contains("every byte reads the same"), "{report}");
    assert!(!report.contains("segments:"), "{report}");
    diff(&[&module, "--with-policy", "balanced"]).success();
    let report = differs(&["tour.wasm", "--with-policy", "reference"]);
    assert!(
        report.contains("no longer static: segment 5 is not static"),
        "{report}"
    );

    let zeroed = [
        "--assume-zeroed-imports",
        "--with-start-function",
        "already-initialized-tls",
    ];
    let report = differs(&[&["threads.wasm"][..], &zeroed].concat());
    assert!(report.contains("static now"), "{report}");

    // Without that promise nothing differs, for a reason that is said.
    let result = diff(&[&["threads.wasm"][..], &zeroed[1..]].concat());
    assert_eq!(result.code, 0, "{}", result.stdout);
    let why = "the start function's data is in no image: its memory is imported";
    assert!(result.stderr.contains(why), "{}", result.stderr);
    assert_eq!(result.stderr.matches("warning").count(), 1);
}

#[test]
fn components_and_stdin() {
    let scratch = Scratch::new();
    let one = r#"(component (core module (memory 1)))"#;
    let two = r#"(component (core module (memory 1)) (core module (memory 2)))"#;
    let (one, two) = (
        scratch.module("one.wasm", one),
        scratch.module("two.wasm", two),
    );
    let report = differs(&[&one, &two]);
    assert!(report.contains("core module 1: only in B\n"), "{report}");
    assert!(!report.contains("core module 0"), "{report}");
    diff(&[&one, &two, "--module", "0"]).success();
    let wasm = std::fs::read(&one).expect("read");
    tool::run_with_stdin(&["diff", "-", &one], &wasm).success();
    tool::run_with_stdin(&["diff", &one, "-"], &wasm).success();
}

#[test]
fn the_json_has_the_documented_fields() {
    let scratch = Scratch::new();
    let (old, new) = (
        scratch.module("old.wasm", OLD),
        scratch.module("new.wasm", NEW),
    );
    let json: Value = serde_json::from_str(&differs(&[&old, &new, "--json"])).expect("JSON");
    assert_eq!(
        (&json["format"], &json["equal"]),
        (&1.into(), &false.into())
    );
    assert_eq!(
        (&json["a"], &json["b"]),
        (&old.as_str().into(), &new.as_str().into())
    );
    let module = &json["modules"][0];
    let memory = &module["memories"][0];
    assert_eq!(
        (&memory["a"]["bytes"], &memory["b"]["bytes"]),
        (&0x1_0000.into(), &0x2_0000.into())
    );
    assert_eq!(memory["a"]["decision"], "static");
    assert_eq!(memory["bytes_equal"], false);
    let changes: Vec<&Value> = module["segments"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| &it["changes"])
        .collect();
    let expected = [
        serde_json::json!(["moved"]),
        serde_json::json!(["grew"]),
        serde_json::json!(["removed"]),
        serde_json::json!(["moved", "no_longer_static"]),
        serde_json::json!(["added"]),
    ];
    assert_eq!(changes, expected.iter().collect::<Vec<_>>());
    assert_eq!(module["segments"][0]["a"]["name"], ".rodata");
    assert_eq!(
        module["segments"][3]["b"]["reason"],
        "its address depends on global 0"
    );
    let json: Value = serde_json::from_str(&diff(&[&old, &old, "--json"]).success()).expect("JSON");
    assert_eq!(json["equal"], true);
    assert_eq!(json["modules"][0]["equal_segments"], 4);

    // Every field of the document is in the documentation.
    let documented = include_str!("../../docs/diff-json.md");
    fn names(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(name, it)| {
                found.push(name.clone());
                names(it, found);
            }),
            Value::Array(list) => list.iter().for_each(|it| names(it, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    names(
        &serde_json::from_str(&differs(&[&old, &new, "--json"])).expect("JSON"),
        &mut found,
    );
    for name in found {
        assert!(documented.contains(&format!("\"{name}\"")), "{name}");
    }
}

/// Regression: an artifact differed from its module, given the options of `build`, because it does
/// not record a value or a size that no image depends on.
#[test]
fn an_artifact_records_no_more_than_it_relies_on() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let traps = r#"(module (import "e" "b" (global $b i32)) (memory 1)
        (data (i32.const 8) "a") (data (global.get $b) "b"))"#;
    let large = r#"(module (import "e" "m" (memory 1)) (import "e" "b" (global $b i32)) (memory 1)
        (data (i32.const 8) "a") (data (memory 1) (global.get $b) "b"))"#;
    for (text, options) in [
        (traps, &["--global", "e.b=64K"][..]),
        (large, &["--memory", "e.m=2M", "--global", "e.b=8"]),
    ] {
        let module = scratch.module("m.wasm", text);
        let build = ["build", &*module, "-o", &*artifact];
        tool::run([&build, options].concat()).success();
        for files in [[&*module, &*artifact], [&artifact, &module]] {
            let report = tool::run([&["diff"], &files[..], options].concat()).success();
            assert!(report.contains("no difference"), "{report}");
        }
    }
}
