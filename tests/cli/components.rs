//! Components: which instance has which memory, and one file for all core modules.

use std::fs;

use serde_json::{Value, json};

use crate::tool::{self, RunOutput, Scratch};

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&tool::run(args).success()).expect("JSON")
}

/// A main module, a library that uses its memory directly and through a list of exports, a
/// module with a memory of its own, and a nested component that instantiates the outer module.
const LINKED: &str = r#"(component
    (core module $main (memory (export "unused") 1) (memory (export "mem") 2)
        (data (i32.const 0) "a"))
    (core module $lib (import "env" "memory" (memory 1)) (import "env" "missing" (memory 1))
        (export "again" (memory 0)) (data (i32.const 8) "b"))
    (core module $none)
    (core instance $m (instantiate $main))
    (core instance $env (export "memory" (memory $m "mem"))
        (export "missing" (memory $m "unused")))
    (core instance $n (instantiate $none))
    (core instance $l (instantiate $lib (with "env" (instance $env))))
    (core instance $env2 (export "memory" (memory $l "again"))
        (export "missing" (memory $l "again")))
    (core instance $l2 (instantiate $lib (with "env" (instance $env2))))
    (component
        (alias outer 1 $main (core module $outer))
        (core instance (instantiate $outer)))
    (core instance $m2 (instantiate $main)))"#;

#[test]
fn instances_name_their_memories() {
    let scratch = Scratch::new();
    let file = scratch.module("linked.wasm", LINKED);
    let report = json(&["inspect", "--json", &file]);
    let own =
        |index: u32| json!({"index": index, "source": "own", "instance": null, "memory": null});
    let of = |index: u32, memory: u32| json!({"index": index, "source": "instance", "instance": 0, "memory": memory});
    let instance = |component: u32, index: u32, module: u32, memories: Value| json!({"component": component, "index": index, "module": module, "memories": memories});
    assert_eq!(
        report["instances"],
        json!([
            instance(0, 0, 0, json!([own(0), own(1)])),
            instance(0, 2, 2, json!([])),
            instance(0, 3, 1, json!([of(0, 1), of(1, 0)])),
            // The memory that the library exports is that of the main module.
            instance(0, 5, 1, json!([of(0, 1), of(1, 1)])),
            instance(1, 0, 0, json!([own(0), own(1)])),
            instance(0, 6, 0, json!([own(0), own(1)])),
        ])
    );
    let page = scratch.path("page.html");
    let text = tool::run(["inspect", &file, "--html", &page]).success();
    let html = fs::read_to_string(&page).expect("a page");
    assert!(
        html.contains("    memory 0: memory 1 of instance 0\n"),
        "{html}"
    );
    let lines = "
Core instances
  instance 0: core module 0
    memory 0: its own
    memory 1: its own
  instance 3: core module 1
    memory 0: memory 1 of instance 0
    memory 1: memory 0 of instance 0
";
    assert!(text.contains(lines), "{text}");
    assert!(
        text.contains("  instance 0 of component 1: core module 0\n"),
        "{text}"
    );
    assert!(
        text.contains("  and 1 instance without memories\n"),
        "{text}"
    );
}

/// What another instance has written to a memory is not for the host to promise.
#[test]
fn a_memory_of_another_instance_is_not_the_hosts() {
    let scratch = Scratch::new();
    let zeros = "\\00".repeat(40);
    let text = format!(
        r#"(component
            (core module $a (memory (export "m") 1) (data (i32.const 0) "{}"))
            (core module $b (import "a" "m" (memory 1)) (data (i32.const 0) "b{zeros}b"))
            (core instance $i (instantiate $a))
            (core instance (instantiate $b (with "a" (instance $i)))))"#,
        "a".repeat(42)
    );
    let file = scratch.module("linked.wasm", &text);
    assert_eq!(json(&["inspect", "--json", &file])["hint"], Value::Null);

    let warning = format!(
        "warning: {file}: --assume-zeroed-imports does not apply to memory 0 of core module 1: it \
         is, or may be, the memory of another instance\n"
    );
    let promised = |args: &[&str]| {
        let result = tool::run([args, &["--assume-zeroed-imports"]].concat());
        assert_eq!((result.code, &result.stderr), (0, &warning), "{args:?}");
        result.stdout
    };
    let [out, with, without] = ["out", "with.wasm", "without.wasm"].map(|it| scratch.path(it));
    let text = promised(&["build", &file, "-o", &out]);
    assert!(text.contains("memory 0: segmented, 1 to replay"), "{text}");
    let text = promised(&["dump", &file, "--module", "1", "0", "16", "--ascii"]);
    assert!(text.contains("??"), "{text}");
    promised(&["bench", &file, "--module", "1", "--time", "1"]);
    promised(&["inspect", &file, "--html", &scratch.path("page.html")]);
    for objective in ["size", "start"] {
        promised(&["pack", &file, "--for", objective, "-o", &with]);
        tool::run(["pack", &file, "--for", objective, "-o", &without]).success();
        let packed = [&with, &without].map(|it| fs::read(it).expect("written"));
        assert_eq!(packed[0], packed[1], "{objective}");
    }
}

/// A promise about the host is not about modules that components instantiate or pass on, also where
/// nobody can say which instance has the memory.
#[test]
fn no_memory_of_an_instance_in_a_component_is_the_hosts() {
    let zeros = "\\00".repeat(40);
    let app = format!(
        r#"(core module $app (import "libc" "memory" (memory 1))
            (data (i32.const 0) "b{zeros}b"))"#
    );
    let libc = format!(
        r#"(core module $libc (memory (export "memory") 1) (data (i32.const 0) "{}"))"#,
        "a".repeat(42)
    );
    let link = r#"(core instance $l (instantiate $libc))
        (core instance (instantiate $app (with "libc" (instance $l))))"#;
    let app_type = r#"(core module $app (import "libc" "memory" (memory 1)))"#;
    for (name, text) in [
        (
            "libc of a nested component",
            format!(
                r#"{app} (component $inner {libc} (export "m" (core module $libc)))
                    (instance $i (instantiate $inner))
                    (alias export $i "m" (core module $libc)) {link}"#
            ),
        ),
        (
            "libc imported",
            format!(
                r#"(import "libc" (core module $libc (export "memory" (memory 1)))) {app} {link}"#
            ),
        ),
        (
            "an argument",
            format!(
                r#"{app} (component $inner (import "app" {app_type}) {libc} {link})
                    (instance (instantiate $inner (with "app" (core module $app))))"#
            ),
        ),
        (
            "an argument in an instance",
            format!(
                r#"{app} (component $inner
                        (import "i" (instance $i (export "app" {app_type})))
                        (alias export $i "app" (core module $app)) {libc} {link})
                    (instance $i (export "app" (core module $app)))
                    (instance (instantiate $inner (with "i" (instance $i))))"#
            ),
        ),
        (
            "an export of a nested component",
            format!(
                r#"{libc} (component $inner {app} (export "m" (core module $app)))
                    (instance $i (instantiate $inner))
                    (alias export $i "m" (core module $app)) {link}"#
            ),
        ),
        (
            "more instances than are listed",
            format!(
                "(core module $none) {} {app} {libc} {link}",
                "(core instance (instantiate $none))".repeat(1000)
            ),
        ),
    ] {
        let (result, hint, is_changed) = promised(&format!("(component {text})"));
        let warning = ": it is, or may be, the memory of another instance\n";
        assert!(
            result.stderr.ends_with(warning),
            "{name}: {}",
            result.stderr
        );
        assert!(!is_changed, "{name}");
        assert_eq!(hint, Value::Null, "{name}");
    }
    // Whoever loads the component instantiates these, if anybody does.
    for (name, text) in [
        ("not used", app.clone()),
        (
            "exported",
            format!(r#"{app} (export "m" (core module $app))"#),
        ),
    ] {
        let (result, hint, is_changed) = promised(&format!("(component {text})"));
        assert_eq!(result.stderr, "", "{name}");
        assert!(is_changed, "{name}");
        assert_eq!(hint["zeroed_imports"], true, "{name}");
    }
}

/// Returns the result of packing with the promise about imported memories, the hint without it, and
/// whether the promise makes a difference.
fn promised(text: &str) -> (RunOutput, Value, bool) {
    let scratch = Scratch::new();
    let file = scratch.module("app.wasm", text);
    let [with, without] = ["with.wasm", "without.wasm"].map(|it| scratch.path(it));
    let pack = |out: &str, options: &[&str]| {
        let args = ["pack", &file, "--for", "size", "-o", out];
        let result = tool::run([&args, options].concat());
        assert_eq!(result.code, 0, "{}", result.stderr);
        (result, fs::read(out).expect("written"))
    };
    let (result, with) = pack(&with, &["--assume-zeroed-imports"]);
    let (_, without) = pack(&without, &[]);
    let hint = json(&["inspect", "--json", &file])["hint"].take();
    (result, hint, with != without)
}

/// A module that the component imports has memories that nobody knows.
#[test]
fn imported_modules_are_unknown() {
    let scratch = Scratch::new();
    let file = scratch.module(
        "imported.wasm",
        r#"(component
            (import "m" (core module $m (export "memory" (memory 1))))
            (core module $lib (import "env" "memory" (memory 1)))
            (core instance $i (instantiate $m))
            (core instance (instantiate $lib (with "env" (instance $i)))))"#,
    );
    let report = json(&["inspect", "--json", &file]);
    assert_eq!(report["instances"][0]["module"], Value::Null);
    assert_eq!(report["instances"][1]["module"], 0);
    assert_eq!(report["instances"][1]["memories"][0]["source"], "unknown");
    let text = tool::run(["inspect", &file]).success();
    assert!(text.contains("    memory 0: from outside\n"), "{text}");
}

/// A component of a few kilobytes with thousands of instances gives a short report.
#[test]
fn many_instances() {
    let scratch = Scratch::new();
    let memories = "(memory 1)".repeat(100);
    let instances = "(core instance (instantiate $m))".repeat(5000);
    let text = format!("(component (core module $m {memories}) {instances})");
    let file = scratch.module("many.wasm", &text);
    let report = json(&["inspect", "--json", &file]);
    let listed = report["instances"].as_array().expect("a list").len();
    assert_eq!(listed, 10);
    assert_eq!(report["omitted_instances"], 5000 - 10);
    let text = tool::run(["inspect", &file]).success();
    assert!(text.contains("  and 4,990 instances more\n"), "{text}");
}

#[test]
fn one_file_for_all_core_modules() {
    let scratch = Scratch::new();
    let file = scratch.module("linked.wasm", LINKED);
    let (bundle, stripped) = (scratch.path("app.meminit"), scratch.path("stripped.wasm"));
    let build = ["build", &file, "-o", &bundle, "--strip", &stripped];
    let text = tool::run(build).success();
    assert!(text.contains(" bytes, a bundle of 3 artifacts\n"), "{text}");
    assert!(text.contains("\ncore module 1, source sha256 "), "{text}");

    // Every core module is compared with its artifact.
    let text = tool::run(["verify", &file, &bundle]).success();
    for nth in 0..3 {
        let line = format!("{bundle}: core module {nth}: correct for {file}\n");
        assert!(text.contains(&line), "{text}");
    }
    let text = tool::run(["verify", &file, &bundle, "--module", "1"]).success();
    assert_eq!(text.matches(": correct for ").count(), 1, "{text}");
    // The stripped component has the same instances and less data.
    let text = tool::run(["verify", &stripped, &bundle]).success();
    assert!(
        text.contains(&format!("core module 0: belongs to {stripped}\n")),
        "{text}"
    );
    let (before, after) = (
        json(&["inspect", "--json", &file]),
        json(&["inspect", "--json", &stripped]),
    );
    assert_eq!(before["instances"], after["instances"]);
    assert_eq!(after["modules"][0]["counts"]["active"], 0);

    // Each artifact is that of the core module alone.
    let bytes = fs::read(&bundle).expect("written");
    let report = json(&["inspect", "--json", &bundle]);
    assert_eq!(report["file"]["kind"], "bundle");
    let artifacts = report["artifacts"].as_array().expect("a list");
    for (nth, artifact) in artifacts.iter().enumerate() {
        let (single, alone) = (scratch.path("single"), scratch.path("alone.wasm"));
        let nth = nth.to_string();
        let args = [
            "build", &file, "--module", &nth, "-o", &single, "--strip", &alone,
        ];
        tool::run(args).success();
        let expected = fs::read(&single).expect("written");
        let offset = artifact["file_offset"].as_u64().expect("a number") as usize;
        assert_eq!(bytes[offset..offset + expected.len()], expected, "{nth}");
        for memory in artifact["memories"].as_array().expect("a list") {
            for run in memory["runs"].as_array().expect("a list") {
                let at = run["file_offset"].as_u64().expect("a number") as usize;
                let first = if nth == "0" { b'a' } else { b'b' };
                assert!(bytes[at..at + 9].contains(&first), "{run}");
            }
        }
    }
    let text = tool::run(["inspect", &bundle]).success();
    assert!(
        text.starts_with(&format!("{bundle}: bundle of 3 artifacts, ")),
        "{text}"
    );
    assert!(
        text.contains("\ncore module 2, artifact at offset 0x"),
        "{text}"
    );
    let table = tool::run(["inspect", &bundle, &file]).success();
    assert!(table.contains(" bundle "), "{table}");
}

#[test]
fn a_bundle_that_does_not_fit() {
    let scratch = Scratch::new();
    let file = scratch.module("linked.wasm", LINKED);
    let bundle = scratch.path("app.meminit");
    tool::run(["build", &file, "-o", &bundle]).success();
    let other = scratch.module("other.wasm", &LINKED.replace("\"b\"", "\"c\""));
    let result = tool::run(["verify", &other, &bundle]);
    assert_eq!((result.code, &*result.stdout), (1, ""));
    let start = format!("difference: {bundle}: core module 1: ");
    assert!(result.stderr.starts_with(&start), "{}", result.stderr);
    let result = tool::run(["verify", "component.wasm", &bundle]);
    let line = format!("{bundle}: a bundle of 3 artifacts, but the file has 2 core modules\n");
    assert_eq!(result.stderr, format!("difference: {line}"));
    assert_eq!(result.code, 1);

    let bytes = fs::read(&bundle).expect("written");
    let damaged = scratch.file("damaged.meminit", &bytes[..bytes.len() - 1]);
    for args in [vec!["inspect", &damaged], vec!["verify", &file, &damaged]] {
        let result = tool::run(args);
        assert_eq!(result.code, 2);
        let start = format!("error: {damaged}: bundle truncated: ");
        assert!(result.stderr.starts_with(&start), "{}", result.stderr);
    }
    let result = tool::run([
        "build",
        &file,
        "-o",
        &bundle,
        "--strip",
        &scratch.path("stripped.wasm"),
        "--externalize",
    ]);
    let hint = "\nhint: select one with --module\n";
    assert!(result.stderr.ends_with(hint), "{}", result.stderr);
    assert_eq!(result.code, 2);
}

/// Regression: a component of a megabyte took all memory of a machine.
#[test]
fn images_that_are_too_large_together() {
    let scratch = Scratch::new();
    let module = r#"(core module (memory 1) (data (i32.const 0) "x"))"#;
    let file = scratch.module("three.wasm", &format!("(component {})", module.repeat(3)));
    let out = scratch.path("out");
    let args = ["build", &file, "-o", &out, "--page-size", "1G"];
    let line = format!(
        "error: {file}: the images of all core modules have 3,221,225,472 bytes together; at \
         most 1 GiB fits a bundle\nhint: select one core module with --module\n"
    );
    let result = tool::run(args);
    assert_eq!((result.code, result.stderr), (2, line));
    assert!(!fs::exists(&out).expect("checked"));
}

/// Regression: core modules without data have no images, but their artifacts begin at pages: a
/// component of some hundred bytes took all memory of a machine.
#[test]
fn a_bundle_of_padding() {
    let scratch = Scratch::new();
    let component = |n: usize| format!("(component {})", "(core module (memory 1))".repeat(n));
    let out = scratch.path("out");
    let build = |n: usize, page_size: &str| {
        let file = scratch.module(&format!("{n}.wasm"), &component(n));
        let args = ["build", &file, "-o", &out, "--page-size", page_size];
        (tool::run(args), file)
    };
    // The smaller one first: a tool that does not refuse it writes only a gibibyte.
    for (n, page_size, n_bytes) in [(520, "2M", "1,090,519,"), (20, "1G", "21,474,836,")] {
        let (result, file) = build(n, page_size);
        let start = format!("error: {file}: the bundle would have {n_bytes}");
        let end = " bytes; it may have at most 1 GiB\nhint: select one core module with --module, \
                   or pass a smaller --page-size\n";
        assert!(result.stderr.starts_with(&start), "{}", result.stderr);
        assert!(result.stderr.ends_with(end), "{}", result.stderr);
        assert_eq!(result.code, 2);
        assert!(!fs::exists(&out).expect("checked"));
    }

    let (result, file) = build(4, "2M");
    result.success();
    assert!(8 << 20 < fs::metadata(&out).expect("written").len());
    let text = tool::run(["verify", &file, &out]).success();
    assert_eq!(text.matches(": correct for ").count(), 4, "{text}");
}

/// A requirement applies to all artifacts of a bundle.
#[test]
fn requirements_of_bundles() {
    let scratch = Scratch::new();
    let file = scratch.module("linked.wasm", LINKED);
    let bundle = scratch.path("app.meminit");
    tool::run(["build", &file, "-o", &bundle]).success();
    let result = tool::run(["inspect", &bundle, "--require", "no-replay"]);
    let text = format!("violation: {bundle}: --require no-replay: 1 segment to replay\n");
    assert_eq!((result.code, result.stderr), (1, text));
}
