//! The size of a report is bounded by the size of its module, in every format.

use std::fs;

use crate::tool::{self, Scratch};

/// The most bytes of a report for each byte of the module, plus a constant for any module:
/// the frame of a page, and what is listed before the lists are cut.
const PER_BYTE: usize = 32;
const ANY: usize = 3 << 20;

/// The most bytes of address space of `inspect --segments` and `diff` for each byte of the module,
/// plus what a process takes for any.
#[cfg(target_os = "linux")]
const MEMORY_PER_BYTE: usize = 96;
#[cfg(target_os = "linux")]
const MEMORY_ANY: usize = 150 << 20;

/// Returns the size of the report in every format.
fn reports(scratch: &Scratch, module: &str) -> [(&'static str, usize); 6] {
    let page = scratch.path("page.html");
    let len = |args: &[&str]| {
        let output = tool::command().args(args).output().expect("the tool runs");
        let is_wanted = |it| it == 0 || it == 1 && args[0] == "diff";
        assert!(
            output.status.code().is_some_and(is_wanted),
            "{:?}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout.len()
    };
    let text = len(&["inspect", module, "--html", &page]);
    let json = len(&["inspect", module, "--json"]);
    let html = usize::try_from(fs::metadata(page).expect("exists").len()).expect("small");
    let diff = len(&["diff", "no-memory.wasm", module]);
    let diff_json = len(&["diff", "no-memory.wasm", module, "--json"]);
    // The first memory; of a component, the first core module's.
    let dump = len(&[
        "dump",
        module,
        "0",
        "64K",
        "--module",
        "0",
        "--memory-index",
        "0",
    ]);
    [
        ("text", text),
        ("json", json),
        ("html", html),
        ("diff", diff),
        ("diff --json", diff_json),
        ("dump", dump),
    ]
}

/// Checks that the report is bounded at two sizes, and grows no faster than the module.
#[track_caller]
fn check(name: &str, module: impl Fn(usize) -> Vec<u8>, small: usize, large: usize) {
    let scratch = Scratch::new();
    let measure = |n: usize| {
        let wasm = module(n);
        let file = scratch.file("module.wasm", &wasm);
        (wasm.len(), reports(&scratch, &file))
    };
    let (small_len, small) = measure(small);
    let (large_len, large) = measure(large);
    for ((format, before), (_, after)) in small.into_iter().zip(large) {
        for (len, report) in [(small_len, before), (large_len, after)] {
            assert!(
                report <= PER_BYTE * len + ANY,
                "{name}, {format}: {report} bytes for a module of {len}"
            );
        }
        // The report must not grow faster than the module.
        let growth = after as f64 / before as f64;
        let bound = large_len as f64 / small_len as f64;
        assert!(
            growth <= 1.3 * bound,
            "{name}, {format}: {before} to {after} bytes for modules of {small_len} to {large_len}"
        );
    }
}

/// Names of tens of kilobytes, and thousands of segments whose addresses depend on them.
#[test]
fn long_names_and_many_segments() {
    let module = |n: usize| {
        let name = "n".repeat(24 << 10);
        let segments = r#"(data (global.get 0) "x")"#.repeat(n);
        let text =
            format!(r#"(module (import "{name}" "{name}" (global i32)) (memory 1) {segments})"#);
        wat::parse_str(text).expect("a module")
    };
    check("long names", module, 1000, 20_000);
}

/// Alternating reasons, so that no two adjacent segments form a range, and as many pairs of a
/// memory and a global as there are segments.
#[test]
fn alternating_reasons() {
    let module = |n: usize| {
        let globals = r#"(import "e" "g" (global i32))"#.repeat(100);
        let memories = "(memory 1)".repeat(100);
        let segments: String = (0..n)
            .map(|nth| {
                let (memory, global) = (nth % 100, nth / 100 % 100);
                format!(r#"(data (memory {memory}) (global.get {global}) "") (data "")"#)
            })
            .collect();
        wat::parse_str(format!("(module {globals} {memories} {segments})")).expect("a module")
    };
    check("alternating reasons", module, 1000, 10_000);
}

/// A thousand modules with a hundred memories each, all in one component; a memory takes three
/// bytes.
#[test]
fn a_hundred_thousand_memories() {
    let module = |n: usize| {
        let memories = "(memory 1)".repeat(100) + r#"(data (i32.const 5) "x")"#;
        let modules = format!("(core module {memories})").repeat(n);
        wat::parse_str(format!("(component {modules})")).expect("a component")
    };
    check("memories", module, 100, 1000);
}

/// An artifact with a short entry for each segment to replay.
#[test]
fn artifacts() {
    let artifact = |n: usize| {
        let scratch = Scratch::new();
        let segments = r#"(data (global.get 0) "")"#.repeat(n);
        let text = format!(r#"(module (import "e" "g" (global i32)) (memory 1) {segments})"#);
        let (module, out) = (scratch.module("app.wasm", &text), scratch.path("out"));
        tool::run(["build", &module, "-o", &out]).success();
        fs::read(out).expect("written")
    };
    let scratch = Scratch::new();
    for n in [1000, 50_000] {
        let bytes = artifact(n);
        let file = scratch.file("app.meminit", &bytes);
        for args in [vec!["inspect", &file], vec!["inspect", "--json", &file]] {
            let len = tool::run(args).success().len();
            assert!(
                len <= PER_BYTE * bytes.len() + ANY,
                "{len} for {}",
                bytes.len()
            );
        }
    }
}

/// A run on about every fifth page.
#[test]
fn many_runs() {
    let module = |n: usize| {
        let segments: String = (0..n)
            .map(|nth| format!(r#"(data (i32.const {}) "x")"#, nth * 20_000))
            .collect();
        wat::parse_str(format!("(module (memory 65536) {segments})")).expect("a module")
    };
    check("runs", module, 1000, 50_000);
}

/// Regression: for each address that is not known, a text with the names of all imports was built,
/// and most of it cut.
#[cfg(target_os = "linux")]
#[test]
fn memory_for_long_offsets() {
    let scratch = Scratch::new();
    let name = r"\u{e0001}".repeat(40);
    let sum = "global.get 0 i32.add ".repeat(38);
    let segments: String = (0..100_000)
        .map(|nth| format!(r#"(data (offset global.get 1 i32.const {nth} i32.add) "a")"#))
        .collect();
    let text = format!(
        r#"(module (import "{name}" "{name}" (global i32)) (memory 1)
            (global i32 global.get 0 {sum}) {segments})"#
    );
    let module = scratch.module("module.wasm", &text);
    assert_memory(&module);
}

/// Regression: each operation without operands was kept.
#[cfg(target_os = "linux")]
#[test]
fn memory_for_definitions_that_are_too_deep() {
    use wasm_encoder::{
        ConstExpr, DataSection, EntityType, GlobalSection, GlobalType, ImportSection,
        MemorySection, MemoryType, Module, ValType,
    };
    let ty = GlobalType {
        val_type: ValType::I32,
        mutable: false,
        shared: false,
    };
    let mut imports = ImportSection::new();
    imports.import("e", "g", EntityType::Global(ty));
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let gets = [0x23, 0].repeat(65);
    let adds = [0x6a].repeat(7_400_000);
    let mut globals = GlobalSection::new();
    globals.global(ty, &ConstExpr::raw([gets, adds].concat()));
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::global_get(1), *b"x");
    let mut module = Module::new();
    module.section(&imports).section(&memories);
    module.section(&globals).section(&data);
    let scratch = Scratch::new();
    let file = scratch.path("module.wasm");
    fs::write(&file, module.finish()).expect("room");
    assert_memory(&file);
}

/// Runs the commands that compare and list addresses, with no more memory than documented.
#[cfg(target_os = "linux")]
#[track_caller]
fn assert_memory(module: &str) {
    let len = fs::metadata(module).expect("exists").len();
    let limit = (MEMORY_ANY + MEMORY_PER_BYTE * usize::try_from(len).expect("small")) >> 10;
    let script = format!(r#"ulimit -v {limit}; exec "$0" "$@" > /dev/null"#);
    let tool = env!("CARGO_BIN_EXE_wasm-meminit");
    for (args, code) in [
        (&["inspect", "--segments", module][..], 0),
        (&["inspect", "--json", "--segments", module], 0),
        (&["diff", module, module], 0),
        (&["diff", "--json", module, "tour.wasm"], 1),
    ] {
        let mut shell = std::process::Command::new("sh");
        shell.current_dir(tool::modules());
        shell.args(["-c", &*script, tool]).args(args);
        let output = shell.output().expect("a shell");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    }
}

/// Regression: a limit on what is listed held for each core module, not for the file.
#[test]
fn segments_of_a_thousand_modules() {
    let module = |n: usize| {
        let segments: String = (0..100)
            .map(|nth| format!(r#"(data (i32.const {nth}) "x")"#))
            .collect();
        let modules = format!("(core module (memory 1) {segments})").repeat(n);
        wat::parse_str(format!("(component {modules})")).expect("a component")
    };
    check("segments of many modules", module, 100, 1000);
}
