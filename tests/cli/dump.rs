//! `dump`: bytes, where they come from, and what is not known.

use crate::tool::{self, Scratch};

const MODULE: &str = r#"(module
    (import "env" "base" (global $base i32))
    (memory 2)
    (data $greeting (i32.const 0x10) "Hello, world")
    (data (i32.const 0x14) "\00\ff")
    (data (i32.const 0x10000) "second page")
    (data (global.get $base) "dynamic")
    (data (i32.const 0x12) "late"))"#;

fn dump(args: &[&str]) -> String {
    tool::run([&["dump"], args].concat()).success()
}

#[test]
fn bytes_of_a_module() {
    let scratch = Scratch::new();
    let module = scratch.module("m.wasm", MODULE);
    let report = dump(&[&module, "0", "0x30"]);
    let expected = format!(
        "{module}: memory 0, 128 KiB, hybrid

00000000: 0000 0000 0000 0000 0000 0000 0000 0000  ................
00000010: 4865 ???? ???? 2077 6f72 6c64 0000 0000  He???? world....
00000020: 0000 0000 0000 0000 0000 0000 0000 0000  ................

0x0..0x10  zero: nothing writes here
0x10..0x12  segment 0 (greeting), bytes 0x0..0x2 of 0xc
0x12..0x16  not static, segment 4: after barrier segment 3, which may trap
0x16..0x1c  segment 0 (greeting), bytes 0x6..0xc of 0xc
0x1c..0x30  zero: nothing writes here
1 replayed segment (7 bytes) goes to addresses not yet known, perhaps to these
"
    );
    assert_eq!(report, expected);

    // Without the barrier, all of it is known, and the later segment hides the earlier one.
    let report = dump(&[&module, "0x10", "16", "--global", "env.base=1K"]);
    let rows = "00000010: 4865 6c61 7465 2077 6f72 6c64 0000 0000  Helate world....\n";
    assert!(report.contains(rows), "{report}");
    assert!(report.contains("static\n"), "{report}");
    assert!(report.contains("0x12..0x16  segment 4\n"), "{report}");
    assert!(!report.contains("not static"), "{report}");
}

/// An artifact has the same bytes as its module, and the same bytes are not known.
#[test]
fn bytes_of_an_artifact() {
    let scratch = Scratch::new();
    for name in tool::module_names() {
        if name == "component" {
            continue;
        }
        let module = format!("{name}.wasm");
        let artifact = scratch.path(&name);
        tool::run(["build", &module, "-o", &artifact]).success();
        let rows = |file: &str| {
            let result = tool::run(["dump", file, "0x3f0", "0x1000"]);
            let is_row = |it: &&str| it.get(8..10) == Some(": ") || *it == "*";
            let rows: Vec<String> = result
                .stdout
                .lines()
                .filter(is_row)
                .map(str::to_owned)
                .collect();
            (result.code, rows)
        };
        assert_eq!(rows(&artifact), rows(&module), "{name}");
    }
    let tour = scratch.path("tour");
    let report = dump(&[&tour, "0x3f0", "32"]);
    assert!(
        report.contains("0x3f0..0x410  the image: run at 0x0\n"),
        "{report}"
    );
    assert!(report.contains("1 replayed segment (19 bytes)"), "{report}");

    for option in [
        &["--policy", "smallest"][..],
        &["--module", "0"],
        &["--global", "host.base=1"],
        &["--assume-zeroed-imports"],
    ] {
        let result = tool::run([&["dump", &tour, "0"], option].concat());
        assert!(
            result.stderr.contains("applies to modules"),
            "{}",
            result.stderr
        );
        assert_eq!(result.code, 2);
    }
}

#[test]
fn equal_rows_are_folded() {
    let scratch = Scratch::new();
    let text = r#"(module (memory i64 0x100000)
        (data (i64.const 0x8) "x") (data (i64.const 0xfff_ffff8) "last"))"#;
    let module = scratch.module("m.wasm", text);
    let report = dump(&[&module, "0", "64G"]);
    let rows: Vec<&str> = report
        .lines()
        .skip(2)
        .take_while(|it| !it.is_empty())
        .collect();
    let zeros = "0000 0000 0000 0000 0000 0000 0000 0000  ................";
    assert_eq!(
        rows,
        [
            "0000000000000000: 0000 0000 0000 0000 7800 0000 0000 0000  ........x.......",
            &format!("0000000000000010: {zeros}"),
            "*",
            "00000000fffffff0: 0000 0000 0000 0000 6c61 7374 0000 0000  ........last....",
            &format!("0000000100000000: {zeros}"),
            "*",
            &format!("0000000ffffffff0: {zeros}"),
        ]
    );
    // Rows of a range that begins anywhere, down to one byte.
    let report = dump(&[&module, "9", "1"]);
    assert!(
        report.contains(&format!("\n00000009: 00{}  .\n", " ".repeat(37))),
        "{report}"
    );
    let report = dump(&[&module, "0", "0"]);
    assert_eq!(report.lines().count(), 1, "{report}");
}

/// The host supplies the memory: nothing is known unless it promises zeros.
#[test]
fn imported_memories() {
    let scratch = Scratch::new();
    let text = r#"(module (import "env" "memory" (memory 1)) (data (i32.const 4) "data"))"#;
    let module = scratch.module("m.wasm", text);
    let report = dump(&[&module, "0", "16"]);
    assert!(
        report.contains("00000000: ???? ???? ???? ???? ????"),
        "{report}"
    );
    assert!(
        report.contains("0x0..0x4  not static: the host supplies the memory\n"),
        "{report}"
    );
    assert!(
        report.contains("0x4..0x8  not static, segment 0: its memory is imported\n"),
        "{report}"
    );
    let hint = "if the host supplies a zeroed memory, --assume-zeroed-imports shows more\n";
    assert!(report.ends_with(hint), "{report}");
    let report = dump(&[&module, "0", "16", "--assume-zeroed-imports"]);
    assert!(!report.contains("--assume"), "{report}");
    assert!(
        report.contains("00000000: 0000 0000 6461 7461 0000"),
        "{report}"
    );

    let result = tool::run(["dump", &module, "64K", "1"]);
    let line = format!(
        "error: {module}: 1 byte at address 0x10000 ends past memory 0, which is known to have \
         64 KiB (0x10000 bytes)\nhint: set the size that the host gives it with --memory NAME=BYTES"
    );
    result.fails_with(2, &line);
    dump(&[&module, "64K", "1", "--memory", "env.memory=1M"]);
}

#[test]
fn threaded_modules() {
    let args = ["threads.wasm", "0", "64K", "--assume-zeroed-imports"];
    let report = dump(&args);
    assert!(
        report.contains("the start function runs afterwards"),
        "{report}"
    );
    let stripped = [&args[..], &["--start-function", "writes-stripped"]].concat();
    assert!(dump(&stripped).contains("the start function runs afterwards"));
    let treated = [&args[..], &["--start-function", "already-initialized-tls"]].concat();
    let report = dump(&treated);
    assert!(
        report.contains("the flag of the start function\n"),
        "{report}"
    );
    assert!(
        report.contains(", instead of the start function\n"),
        "{report}"
    );
    assert!(!report.contains("runs afterwards"), "{report}");
}

#[test]
fn ranges_outside_the_memory() {
    let refused = |args: &[&str], line: &str| {
        tool::run([&["dump"], args].concat()).fails_with(2, &format!("error: {line}"));
    };
    let past = "bytes at address 0xfffff0 end past memory 0, which has 16 MiB (0x1000000 bytes)";
    refused(
        &["tour.wasm", "0xfffff0", "17"],
        &format!("tour.wasm: 17 {past}"),
    );
    // The default length ends with the memory.
    let report = dump(&["tour.wasm", "0xfffff0"]);
    assert!(report.contains("0xfffff0..0x1000000  zero"), "{report}");
    let past = "1 byte at address 0x1000000 ends past memory 0, which has 16 MiB (0x1000000 bytes)";
    refused(&["tour.wasm", "16M"], &format!("tour.wasm: {past}"));
    let all = "18,446,744,073,709,551,615 bytes at address 0x1 end past memory 0, which has 16 \
               MiB (0x1000000 bytes)";
    refused(
        &["tour.wasm", "1", "0xffffffffffffffff"],
        &format!("tour.wasm: {all}"),
    );
    refused(
        &["tour.wasm", "0", "-m", "1"],
        "tour.wasm: memory 1: the module has only memory 0",
    );
    refused(
        &["no-memory.wasm", "0"],
        "no-memory.wasm: memory 0: the module has no memory",
    );
    let result = tool::run(["dump", "tour.wasm", "0", "--memory", "1"]);
    assert!(
        result.stderr.contains("--memory-index"),
        "{}",
        result.stderr
    );
    let result = tool::run(["dump", "tour.wasm", "zero"]);
    assert!(
        result.stderr.contains("not a number of bytes"),
        "{}",
        result.stderr
    );
    assert_eq!(result.code, 2);
}

#[test]
fn stdin_and_components() {
    let wasm = std::fs::read(tool::modules().join("tour.wasm")).expect("read");
    let report = tool::run_with_stdin(&["dump", "-", "1K", "1"], &wasm).success();
    assert!(
        report.starts_with("stdin: memory 0, 16 MiB, hybrid\n"),
        "{report}"
    );
    for nth in ["0", "1"] {
        dump(&["component.wasm", "0", "--module", nth]);
    }
    assert_eq!(tool::run(["dump", "component.wasm", "0"]).code, 2);
}

/// Regression: bytes were shown as known although a larger memory of the host lets a segment
/// overwrite them, which may end past the declared size.
#[test]
fn a_segment_across_the_declared_end_is_not_known() {
    let scratch = Scratch::new();
    let text = r#"(module (import "env" "memory" (memory 1))
        (data (i32.const 0xfff8) "12345678") (data (i32.const 0xfffc) "abcdef"))"#;
    let module = scratch.module("m.wasm", text);
    let artifact = scratch.path("artifact");
    let zeroed = "--assume-zeroed-imports";
    tool::run(["build", &module, "-o", &artifact, zeroed]).success();
    for args in [
        &[&*module, "0xfff0", "16", zeroed][..],
        &[&artifact, "0xfff0", "16"],
    ] {
        let report = dump(args);
        let row = "0000fff0: 0000 0000 0000 0000 3132 3334 ???? ????  ........1234????\n";
        assert!(report.contains(row), "{report}");
        let origin = "0xfffc..0x10000  not static, segment 1, bytes 0x0..0x4 of 0x6: ";
        assert!(report.contains(origin), "{report}");
    }
    // That of a memory which the module defines always traps.
    let defined = text.replace(r#"(import "env" "memory" (memory 1))"#, "(memory 1)");
    let module = scratch.module("defined.wasm", &defined);
    let report = dump(&[&module, "0xfff8", "8"]);
    assert!(
        report.contains("0xfff8..0x10000  not static, segment 0: "),
        "{report}"
    );
}
