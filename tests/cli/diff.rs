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
  segment 3: moved 0x4000 -> global.get 0 (env.base), no longer static: its address depends on global 0
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

/// Checks that each pair of modules differs, as modules and as artifacts, and that a module differs
/// from the other's artifact unless only names differ, which artifacts do not record.
#[track_caller]
fn all_differ(a: &str, b: &str, options: &[&str], are_names: bool) -> String {
    let scratch = Scratch::new();
    let modules = [("a", a), ("b", b)];
    let modules = modules.map(|(name, text)| scratch.module(&format!("{name}.wasm"), text));
    let artifacts = ["a.meminit", "b.meminit"].map(|it| scratch.path(it));
    for (module, artifact) in modules.iter().zip(&artifacts) {
        tool::run([&["build", module, "-o", artifact], options].concat()).success();
        diff(&[module, module]).success();
        diff(&[&[&**module, artifact], options].concat()).success();
    }
    for files in [
        [&artifacts[0], &artifacts[1]],
        [&modules[0], &artifacts[1]],
        [&artifacts[0], &modules[1]],
    ] {
        let code = diff(&files.map(|it| &**it)).code;
        assert_eq!(code, i32::from(!are_names), "{files:?}");
    }
    let json = differs(&[&*modules[0], &modules[1], "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["equal"], false);
    differs(&[&[&*modules[0], &modules[1], "--ascii"], options].concat())
}

/// Regression: addresses that are not known were taken to be the same.
#[test]
fn offsets_that_depend_on_other_things() {
    let module = |imports: &str, memory: &str, offset: &str| {
        format!(r#"(module {imports} {memory} (data ({offset}) "x"))"#)
    };
    let globals = r#"(import "e" "a" (global $a i32)) (import "e" "b" (global $b i32))"#;
    let known = |offset: &str| module(globals, "(memory 1)", offset);
    let report = all_differ(&known("global.get $a"), &known("global.get $b"), &[], false);
    let line = "  segment 0: moved global.get 0 (e.a) -> global.get 1 (e.b)\n";
    assert!(report.contains(line), "{report}");
    let added = |n: u32| known(&format!("i32.add (global.get $a) (i32.const {n})"));
    let report = all_differ(&added(4), &added(4096), &[], false);
    assert!(
        report.contains("(e.a) i32.const 4096 i32.add\n"),
        "{report}"
    );

    let other = globals.replace("\"a\"", "\"c\"");
    let renamed = module(&other, "(memory 1)", "global.get $a");
    let report = all_differ(&known("global.get $a"), &renamed, &[], true);
    assert!(
        report.contains("moved global.get 0 (e.a) -> global.get 0 (e.c)"),
        "{report}"
    );
    let imported = |name| {
        module(
            "",
            &format!(r#"(import "e" "{name}" (memory 1))"#),
            "i32.const 0",
        )
    };
    let report = all_differ(&imported("m"), &imported("n"), &[], true);
    assert!(report.contains("  import    e.m -> e.n\n"), "{report}");

    // The same names at other indices are the same.
    let scratch = Scratch::new();
    let shifted = module(
        &format!(r#"(import "e" "z" (global i32)) {globals}"#),
        "(memory 1)",
        "global.get $b",
    );
    let [a, b] =
        [known("global.get $b"), shifted].map(|it| scratch.module(&it.len().to_string(), &it));
    diff(&[&a, &b]).success();
}

/// Regression: segments that are replayed were compared regardless of their order.
#[test]
fn segments_that_are_replayed_in_another_order() {
    let module = |segments: &[&str]| {
        let segments = segments.concat();
        format!(
            r#"(module (import "e" "m" (memory 1)) (import "e" "g" (global $g i32)) (memory 1) {segments})"#
        )
    };
    let [x, y, late] = [
        r#"(data (i32.const 0) "xx")"#,
        r#"(data (i32.const 1) "yy")"#,
        r#"(data (global.get $g) "zz")"#,
    ];
    let report = all_differ(&module(&[x, y]), &module(&[y, x]), &[], false);
    assert!(
        report.contains("  segment 0 -> segment 1: written in another order\n"),
        "{report}"
    );
    all_differ(&module(&[late, x, y]), &module(&[late, y, x]), &[], false);
    all_differ(&module(&[late, x]), &module(&[x, late]), &[], false);
    let own = |it: &str| it.replace("(data", "(data (memory 1)");
    let [own_x, own_y] = [own(x), own(y)];
    all_differ(
        &module(&[late, &own_x, &own_y]),
        &module(&[late, &own_y, &own_x]),
        &[],
        false,
    );
    // Where the order does not matter, nothing differs.
    let scratch = Scratch::new();
    let far = r#"(data (i32.const 8) "ff")"#;
    let [a, b] = [module(&[x, far, &own_x]), module(&[&own_x, far, x])];
    let [a, b] = [("a", a), ("b", b)].map(|(name, text)| scratch.module(name, &text));
    diff(&[&a, &b]).success();
}

/// Regression: what images rely on, and what runs around them, was not compared.
#[test]
fn assumptions_elements_and_start_functions() {
    let scratch = Scratch::new();
    let module = scratch.module(
        "m.wasm",
        r#"(module (import "e" "t" (table 1 funcref)) (import "e" "g" (global $g i32)) (memory 2)
            (elem (global.get $g) func $f)
            (func $f (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)))
            (data $d (i32.const 8) "abc") (data (i32.const 100) "def"))"#,
    );
    let [a, b] = ["a", "b"].map(|it| scratch.path(it));
    tool::run(["build", &module, "-o", &a]).success();
    tool::run(["build", &module, "-o", &b, "--global", "e.g=0"]).success();
    let report = differs(&[&a, &b, "--ascii"]);
    let lines = "
assumptions
  only in B: global 0 (\"e\" \"g\") is 0

element segments: may trap -> never trap
";
    assert!(report.contains(lines), "{report}");
    diff(&[&module, &a]).success();
    diff(&[&module, &b]).success();

    let text =
        |start: &str| format!(r#"(module (memory 1) (data (i32.const 0) "x") (func $s) {start})"#);
    let [a, b] = [("a", ""), ("b", "(start $s)")].map(|(name, it)| scratch.module(name, &text(it)));
    let report = differs(&[&a, &b, "--ascii"]);
    let line = "start function: none -> runs after the data is written\n";
    assert!(report.contains(line), "{report}");
    // What a recognised one copies, though it is not in an image.
    let threads = include_str!("../modules/threads.wat");
    let moved = threads.replace("i32.const 0x200\n", "i32.const 0x280\n");
    let [a, b] = [("a", threads), ("b", &moved)].map(|(name, it)| scratch.module(name, it));
    let report = differs(&[&a, &b, "--ascii"]);
    assert!(report.contains("moved 0x200 -> 0x280"), "{report}");
}

/// Regression: an address that depends on the import through definitions too long to inline was
/// compared by the index of a global that the module defines.
#[test]
fn offsets_that_depend_on_definitions() {
    let scratch = Scratch::new();
    let long = |last: u32| {
        let terms: String = (0..30)
            .map(|nth| format!("i32.const {} i32.add ", 1_000_000 + nth))
            .collect();
        format!("(global $long i32 global.get $base {terms} i32.const {last} i32.add)")
    };
    // Inlined, the last one would have 2⁶⁰ instructions.
    let doubling = |first: u32| {
        let first = format!("(global $g0 i32 global.get $base i32.const {first} i32.add)");
        let next = (1..60).map(|nth| {
            let before = format!("global.get $g{}", nth - 1);
            format!("(global $g{nth} i32 {before} {before} i32.add)")
        });
        let last = "(global $long i32 global.get $g59)".to_owned();
        first + &next.collect::<String>() + &last
    };
    let module = |name: &str, globals: &str| {
        let text = format!(
            r#"(module (import "env" "base" (global $base i32)) (memory 1) {globals}
                (data (global.get $long) "hello"))"#
        );
        scratch.module(name, &text)
    };
    for definitions in [[long(0), long(4096)], [doubling(0), doubling(4096)]] {
        let [a, b] = [0, 1].map(|nth| module(&format!("{nth}.wasm"), &definitions[nth]));
        let report = differs(&[&a, &b, "--ascii"]);
        let line = "segment 0: moved global.get ";
        assert!(report.contains(line), "{report}");
        let line = ", which differs in what is not shown\n";
        assert!(report.contains(line), "{report}");
        // The same definitions at other indices are the same.
        let shifted = format!("(global i32 (i32.const 7)) {}", definitions[0]);
        let shifted = module("shifted.wasm", &shifted);
        diff(&[&a, &shifted]).success();
        let artifact = scratch.path("artifact");
        tool::run(["build", &a, "-o", &artifact]).success();
        for pair in [
            [&a, &a],
            [&a, &artifact],
            [&artifact, &a],
            [&artifact, &artifact],
        ] {
            diff(&pair.map(|it| &**it)).success();
        }
    }
}
