//! `diff`: what the start function of a threaded module does, and in which order.

use serde_json::Value;

use crate::tool::{self, RunOutput, Scratch};

/// Returns a module as wasm-ld links a threaded program, with these globals and writes.
fn module(globals: &str, steps: &[String]) -> String {
    let steps = steps.concat();
    format!(
        r#"(module (import "env" "memory" (memory 2 16 shared)) {globals}
            (data $rodata "read-only data of all threads")
            (data $data "\01\00\00\00\00\00\00\00\02\00\00\00")
            (func $init_memory
              block block block
              i32.const 0x30c i32.const 0 i32.const 1 i32.atomic.rmw.cmpxchg br_table 0 1 2
              end
              {steps}
              i32.const 0x30c i32.const 2 i32.atomic.store
              i32.const 0x30c i32.const -1 memory.atomic.notify drop br 1
              end
              i32.const 0x30c i32.const 1 i64.const -1 memory.atomic.wait32 drop
              end
              data.drop $rodata data.drop $data)
            (func (export "__wasm_init_tls") (param i32) local.get 0 global.set $tls)
            (start $init_memory))"#
    )
}

fn copy(segment: &str, addr: u32) -> String {
    let len = if segment == "rodata" { 29 } else { 12 };
    format!("i32.const {addr} i32.const 0 i32.const {len} memory.init ${segment} ")
}

fn fill(addr: u32, len: u32) -> String {
    format!("i32.const {addr} i32.const 0 i32.const {len} memory.fill ")
}

fn thread_local(addr: u32) -> String {
    format!(
        "i32.const {addr} i32.const {addr} global.set $tls i32.const 0 i32.const 8 memory.fill "
    )
}

const TLS: &str = "(global $tls (mut i32) (i32.const 0))";
const PROMISES: [&str; 3] = [
    "--assume-zeroed-imports",
    "--start-function",
    "already-initialized-tls",
];

fn diff(files: [&str; 2], options: &[&str]) -> RunOutput {
    tool::run([&["diff", "--ascii"], &files[..], options].concat())
}

/// Returns the names of two modules and their artifacts, after a check that each is like itself.
fn files(scratch: &Scratch, texts: [&str; 2], options: &[&str]) -> [[String; 2]; 2] {
    [0, 1].map(|nth| {
        let wasm = scratch.module(&format!("{nth}.wasm"), texts[nth]);
        let artifact = scratch.path(&format!("{nth}.meminit"));
        tool::run([&["build", &*wasm, "-o", &*artifact], options].concat()).success();
        diff([&wasm, &wasm], options).success();
        diff([&artifact, &artifact], &[]).success();
        diff([&wasm, &artifact], options).success();
        diff([&artifact, &wasm], &[]).success();
        [wasm, artifact]
    })
}

/// Checks that two modules differ, and returns the report.
#[track_caller]
fn modules_differ(texts: [&str; 2], options: &[&str]) -> String {
    let scratch = Scratch::new();
    let [[a, _], [b, _]] = files(&scratch, texts, options);
    let json: Value = serde_json::from_str(&diff([&a, &b], &["--json"]).stdout).expect("JSON");
    assert_eq!(json["equal"], false);
    let result = diff([&a, &b], options);
    assert_eq!(result.code, 1, "{}", result.stdout);
    result.stdout
}

/// Regression: modules differed only in where the first thread's storage is, or in the global
/// that has its address, and nothing was reported.
#[test]
fn the_storage_of_the_first_thread() {
    let text = |globals: &str, tls: u32| {
        let steps = [
            copy("rodata", 0x200),
            thread_local(tls),
            copy("data", 0x1_0000),
        ];
        module(globals, &steps)
    };
    let shifted = format!("(global i32 (i32.const 0)) {TLS}");
    let storage =
        |addr: u32, global: u32| format!("thread-local storage at {addr:#x} in global {global}");
    for (other, place) in [
        (text(TLS, 0x320), (0x320, 0)),
        (text(&shifted, 0x300), (0x300, 1)),
    ] {
        let scratch = Scratch::new();
        let [a, b] = files(&scratch, [&text(TLS, 0x300), &other], &PROMISES);
        for (pair, options) in [
            ([&a[0], &b[0]], &[][..]),
            ([&a[0], &b[0]], &PROMISES),
            ([&a[1], &b[1]], &[]),
            ([&a[0], &b[1]], &PROMISES),
            ([&a[1], &b[0]], &PROMISES),
        ] {
            let result = diff(pair.map(|it| &**it), options);
            assert_eq!(result.code, 1, "{pair:?}: {}", result.stdout);
            let line = result
                .stdout
                .lines()
                .find(|it| it.contains("start function:"));
            let (before, after) = line.and_then(|it| it.split_once(" -> ")).expect("a line");
            assert!(before.contains(&storage(0x300, 0)), "{before}");
            assert!(after.contains(&storage(place.0, place.1)), "{after}");
        }
    }
}

/// Regression: what a start function writes over what else was not compared.
#[test]
fn what_is_copied_in_another_order() {
    let text = |steps: &[String]| module(TLS, steps);
    let [over, under] = [copy("data", 0x210), copy("rodata", 0x200)];
    let report = modules_differ(
        [&text(&[under.clone(), over.clone()]), &text(&[over, under])],
        &[],
    );
    for segment in ["0 (rodata)", "1 (data)"] {
        let line = format!("  segment {segment}: written in another order\n");
        assert!(report.contains(&line), "{report}");
    }

    // The order of fills, of which the second hides nothing.
    let [data, fills] = [
        copy("data", 0x1_0000),
        fill(0x1_0000, 0x1000) + &fill(0x1_2000, 8),
    ];
    let report = modules_differ(
        [&text(&[data.clone(), fills.clone()]), &text(&[fills, data])],
        &[],
    );
    let line = "  segment 1 (data): written in another order\n";
    assert!(report.contains(line), "{report}");
    assert!(!report.contains("segment 0"), "{report}");

    // Where the order does not matter, nothing differs.
    let scratch = Scratch::new();
    let apart = [
        copy("rodata", 0x200),
        copy("data", 0x1_0000),
        fill(0x1_2000, 8),
    ];
    let [a, b] = [[0, 1, 2], [2, 1, 0]].map(|order| text(&order.map(|it| apart[it].clone())));
    let [[a, _], [b, _]] = files(&scratch, [&a, &b], &[]);
    diff([&a, &b], &[]).success();
}

/// Regression: of the ranges that are filled with zeros, the first was shown, though another one
/// differed.
#[test]
fn the_zeros_that_differ_are_shown() {
    let text = |more: &[String]| module(TLS, &[&[fill(0x1_0010, 0x1000)], more].concat());
    let [one, two, other] = [
        text(&[]),
        text(&[fill(0x1_2010, 0x1000)]),
        text(&[fill(0x1_4010, 0x1000)]),
    ];
    let flag = "not in an image, flag at 0x30c of memory 0";
    let zeros = "zeros from 0x12010 to 0x13010";
    let report = modules_differ([&two, &other], &[]);
    let line =
        format!("start function: {flag}, {zeros} -> {flag}, zeros from 0x14010 to 0x15010\n");
    assert!(report.contains(&line), "{report}");
    let report = modules_differ([&one, &two], &[]);
    let line = format!("start function: {flag}, 1 range of zeros -> {flag}, {zeros}\n");
    assert!(report.contains(&line), "{report}");
}
