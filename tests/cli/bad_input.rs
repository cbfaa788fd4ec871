//! Bad usage and unreadable files: exit code 2, and one line with the cause.

use std::fs;

use crate::tool::{self, Scratch};

#[track_caller]
fn refused(args: &[&str], line: &str) {
    tool::run(args).fails_with(2, &format!("error: {line}"));
}

#[test]
fn a_file_that_is_not_a_module() {
    let scratch = Scratch::new();
    let missing = scratch.path("missing.wasm");
    let result = tool::run(["inspect", &missing]);
    assert!(
        result.stderr.starts_with(&format!("error: {missing}: ")),
        "{}",
        result.stderr
    );
    assert_eq!((result.code, result.stderr.lines().count()), (2, 1));

    let directory = scratch.path(".");
    refused(
        &["build", &directory, "-o", &scratch.path("out")],
        &format!("{directory}: this is a directory; expected a file"),
    );

    let not_wasm = "neither a WebAssembly binary nor WebAssembly text";
    let noise: Vec<u8> = (0..100_000_u32)
        .map(|at| (at.wrapping_mul(at) >> 3) as u8 | 1)
        .collect();
    for (name, content, cause) in [
        ("empty", &b""[..], "the file is empty"),
        ("garbage", &noise, not_wasm),
        ("zeros", &[0; 64], not_wasm),
        (
            "artifact",
            b"\x89WMI\r\n\x1a\n",
            "this is an artifact; expected a module",
        ),
    ] {
        let file = scratch.file(name, content);
        for command in ["inspect", "build"] {
            let mut args = vec![command, &file];
            let out = scratch.path("out");
            if command == "build" {
                args.extend(["-o", &out]);
            } else if name == "artifact" {
                continue; // `inspect` reads artifacts too
            }
            refused(&args, &format!("{file}: {cause}"));
        }
    }
    assert_eq!(scratch.list().len(), 4, "no output");
}

/// Before anything is read: the file is a hole.
#[test]
fn a_file_larger_than_4_gib() {
    let scratch = Scratch::new();
    let (file, out) = (scratch.file("large", "\0asm"), scratch.path("out"));
    let large = fs::OpenOptions::new().write(true).open(&file);
    large
        .expect("opened")
        .set_len((1 << 32) + 1)
        .expect("a hole");
    let line = format!("{file}: larger than 4 GiB, the limit for modules and artifacts");
    refused(&["inspect", &file], &line);
    refused(&["build", &file, "-o", &out], &line);
    refused(&["verify", "tour.wasm", &file], &line);
}

#[test]
fn a_module_truncated_anywhere() {
    let scratch = Scratch::new();
    let wasm = fs::read(tool::modules().join("tour.wasm")).expect("read");
    for len in 1..wasm.len() {
        let file = scratch.file("cut.wasm", &wasm[..len]);
        let result = tool::run(["inspect", &file]);
        // Truncated at the end of a section, the rest is still a module, one without data.
        let is_module = result.code == 0 && result.stderr.is_empty();
        let begin = format!("error: {file}: ");
        let is_refused = result.code == 2
            && result.stderr.starts_with(&begin)
            && result.stderr.ends_with(")\n")
            && result.stderr.contains("(at offset 0x")
            && result.stderr.lines().count() == 1;
        assert!(is_module || is_refused, "{len} bytes: {result:?}");
    }
}

/// Returns a section of a module: its id, its length, its content.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).expect("below 128");
    [&[id, len], content].concat()
}

/// The message names the counts, not the end of the input, where the parser compares them.
#[test]
fn a_data_count_that_differs() {
    let scratch = Scratch::new();
    let segments = b"\0\x41\0\x0b\x01x".repeat(4);
    for (declared, cause) in [
        (5, "data count section declares 5 segments, found 4"),
        (3, "data count section declares 3 segments, found 4"),
    ] {
        let wasm = [
            b"\0asm\x01\0\0\0".to_vec(),
            section(5, b"\x01\0\x01"),
            section(12, &[declared]),
            section(11, &[&[4], &*segments].concat()),
        ];
        let file = scratch.file("count.wasm", wasm.concat());
        let result = tool::run(["inspect", &file]);
        assert!(result.stderr.contains(cause), "{}", result.stderr);
        assert_eq!(result.code, 2);

        let file = scratch.file("none.wasm", wasm[..3].concat());
        let result = tool::run(["inspect", &file]);
        let cause = format!("data count section declares {declared} segments, found 0");
        assert!(result.stderr.contains(&cause), "{}", result.stderr);
    }
}

#[test]
fn text_that_is_not_a_module() {
    let scratch = Scratch::new();
    let bad = |content: &str, place: &str| {
        let file = scratch.file("bad.wat", content);
        refused(&["inspect", &file], &format!("{file}:{place}"));
    };
    bad(
        "(module\n  (memory 1)\n  (data (i32.const 0) \"x\"",
        "3:26: expected `)`
  |
3 |   (data (i32.const 0) \"x\"
  |                          ^",
    );
    bad(
        "(module\n\t;; \u{8a9e}\n\t(memory (export \"\u{8a9e}\") 1)\t(mem))\n",
        "3:29: expected valid module field
  |
3 |     (memory (export \"\u{8a9e}\") 1)    (mem))
  |                                  ^",
    );
    // A line of a megabyte is cut around the place.
    let long = format!(
        "(module {} (mem) {})",
        " ".repeat(1 << 20),
        "(type (func))".repeat(9)
    );
    let file = scratch.file("long.wat", &long);
    let result = tool::run(["inspect", &file]);
    let lines: Vec<&str> = result.stderr.lines().collect();
    assert!(
        lines.iter().skip(1).all(|it| it.chars().count() <= 80),
        "{lines:?}"
    );
    assert!(lines[2].contains("(mem)"), "{lines:?}");
    let column = lines[3].find('^').expect("a caret");
    assert_eq!(lines[2].chars().nth(column), Some('m'), "{lines:?}");
    // A byte order mark is allowed; bytes that are not UTF-8 are not.
    let file = scratch.file("mark.wat", "\u{feff}(module)");
    tool::run(["inspect", &file]).success();
    let file = scratch.file("bytes.wat", b"(module ;; \xff\n)");
    refused(
        &["inspect", &file],
        &format!("{file}: not UTF-8 (at offset 0xb)"),
    );
}

#[test]
fn names_in_messages_cannot_control_a_terminal() {
    let result = tool::run(["inspect", "no\x1b[31mred.wasm"]);
    assert!(
        result.stderr.starts_with("error: no\\u{1b}[31mred.wasm: "),
        "{}",
        result.stderr
    );
}

#[test]
fn damaged_artifacts() {
    let scratch = Scratch::new();
    let good = scratch.path("good");
    tool::run(["build", "tour.wasm", "-o", &good]).success();
    let bytes = fs::read(&good).expect("read");
    let refused_as = |name: &str, bytes: &[u8], cause: &str| {
        let file = scratch.file(name, bytes);
        refused(&["verify", "tour.wasm", &file], &format!("{file}: {cause}"));
    };

    let mut version = bytes.clone();
    version[8] = 200;
    let cause = "artifact has format version 200, expected version 3\nhint: build it again from its \
                 module";
    refused_as("version", &version, cause);
    let mut flipped = bytes.clone();
    *flipped.last_mut().expect("bytes") ^= 0x10;
    refused_as(
        "flipped",
        &flipped,
        "artifact damaged: checksum mismatch in the run at address 0xc00000 of memory 0",
    );
    let mut flipped = bytes.clone();
    flipped[30] ^= 1;
    refused_as(
        "header",
        &flipped,
        "artifact damaged: checksum mismatch in the header",
    );
    let cut = &bytes[..bytes.len() - 1];
    let cause = format!(
        "artifact truncated: {} bytes, expected {}",
        cut.len(),
        bytes.len()
    );
    refused_as("cut", cut, &cause);
    let longer = [&bytes[..], &[0]].concat();
    let cause = format!(
        "artifact has trailing bytes: {} bytes, expected {}",
        longer.len(),
        bytes.len()
    );
    refused_as("longer", &longer, &cause);
    refused_as("empty", &[], "the file is empty");
    refused_as("garbage", &[7; 4096], "not a wasm-meminit artifact");
    let cause = "this is a WebAssembly binary; expected an artifact";
    refused_as("wasm", b"\0asm\x01\0\0\0", cause);
}

#[test]
fn globals() {
    refused(
        &["inspect", "tour.wasm", "--global", "host.bass=1"],
        "tour.wasm: --global host.bass: no such import\nhint: available: host.base",
    );
    refused(
        &["inspect", "hello.wasm", "--global", "host.base=1"],
        "hello.wasm: --global host.base: no such import; no imported global can be set",
    );
    refused(
        &["inspect", "tour.wasm", "--global", "host.base=0x100000000"],
        "tour.wasm: --global host.base: 4294967296 does not fit in an i32",
    );
    let scratch = Scratch::new();
    let text = r#"(module (import "e" "m" (global (mut i32))) (import "e" "f" (global f32)))"#;
    let module = scratch.module("unusable.wasm", text);
    for name in ["e.m", "e.f"] {
        refused(
            &["inspect", &module, "--global", &format!("{name}=1")],
            &format!("{module}: --global {name}: the global is mutable or not an integer"),
        );
    }
}

#[test]
fn selecting_a_core_module() {
    let scratch = Scratch::new();
    let out = scratch.path("out");
    refused(
        &["bench", "component.wasm"],
        "component.wasm: 2 core modules of this component define or initialise a memory (module \
         0, module 1)\nhint: select one with --module",
    );
    let result = tool::run([
        "build",
        "component.wasm",
        "-o",
        &out,
        "--strip",
        &out,
        "--externalize",
    ]);
    assert_eq!(result.code, 2);
    refused(
        &["build", "component.wasm", "-o", &out, "--module", "2"],
        "component.wasm: --module 2: the file has core modules 0 to 1",
    );
    refused(
        &["build", "tour.wasm", "-o", &out, "--module", "1"],
        "tour.wasm: --module 1: the file has only core module 0",
    );
    let none = scratch.module("none.wasm", "(component)");
    refused(
        &["build", &none, "-o", &out],
        &format!("{none}: no core module of this component defines or initialises a memory"),
    );
    assert_eq!(scratch.list(), ["none.wasm"]);
}

#[test]
fn usage() {
    let cases: &[&[&str]] = &[
        &[],
        &["frobnicate"],
        &["inspect"],
        &["build", "tour.wasm"],
        &["verify", "tour.wasm"],
        &["inspect", "tour.wasm", "--policy", "best"],
        &["inspect", "tour.wasm", "--page-size", "5000"],
        &["inspect", "tour.wasm", "--global", "host.base"],
        &["inspect", "tour.wasm", "--global", "host.base=one"],
    ];
    for args in cases {
        let result = tool::run(*args);
        assert_eq!((result.code, result.stdout.as_str()), (2, ""), "{args:?}");
        assert!(
            result.stderr.contains("Usage:") || result.stderr.contains("--help"),
            "{args:?}"
        );
    }
    refused(
        &["verify", "-", "-"],
        "only one of the two files can be stdin",
    );
    let version = tool::run(["--version"]).success();
    assert_eq!(
        version,
        concat!("wasm-meminit ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn values_that_are_not_numbers() {
    let invalid = |args: &[&str], option: &str, cause: &str| {
        let value = args.last().expect("a value");
        let line = format!(
            "invalid value '{value}' for '{option}': {cause}\n\nFor more information, try '--help'."
        );
        refused(args, &line);
    };
    let number = "\"x\" is not a number, such as 0 or 12";
    let module = ["--module", "x"];
    for command in [
        &["build", "tour.wasm", "-o", "-"][..],
        &["verify", "tour.wasm", "none"],
        &["bench", "tour.wasm"],
        &["dump", "tour.wasm", "0"],
        &["extract", "none", "0", "-o", "-"],
        &["diff", "tour.wasm", "none"],
    ] {
        invalid(&[command, &module].concat(), "--module <N>", number);
    }
    invalid(&["extract", "-o", "-", "none", "x"], "<MEMORY>", number);
    let dump = ["dump", "tour.wasm", "0", "-m"];
    let index = "--memory-index <INDEX>";
    invalid(&[&dump[..], &["x"]].concat(), index, number);
    let cause = "\"4294967296\" is too large";
    invalid(&[&dump[..], &["4294967296"]].concat(), index, cause);
    let pack = ["pack", "tour.wasm", "-o", "-", "--max-segments", "x"];
    invalid(&pack, "--max-segments <N>", number);
    let bench = |option, value| ["bench", "tour.wasm", option, value];
    invalid(&bench("--pages", "x"), "--pages <N,...>", number);
    let range = "expected a number from 0 to 4,294,967,296";
    invalid(&bench("--pages", "5000000000"), "--pages <N,...>", range);
    let range = "expected a number from 1 to 3,600,000";
    invalid(&bench("--time", "0"), "--time <MS>", range);
    let global = |value| ["inspect", "tour.wasm", "--global", value];
    let option = "--global <[MODULE:]NAME=VALUE>";
    let cause = "\"one\" is not a 64-bit integer, such as 1024, 0x400, 1M or -1";
    invalid(&global("host.base=one"), option, cause);
    invalid(&global("host.base"), option, "expected NAME=VALUE");
    invalid(&global("=1"), option, "expected NAME=VALUE");
    let memory = ["inspect", "tour.wasm", "--memory", "=1M"];
    let option = "--memory <[MODULE:]NAME=BYTES>";
    invalid(&memory, option, "expected NAME=BYTES");
}

#[test]
fn output_that_cannot_be_written() {
    let scratch = Scratch::new();
    let directory = scratch.path(".");
    refused(
        &["build", "tour.wasm", "-o", &directory],
        &format!("{directory}: cannot write: is a directory"),
    );
    let file = scratch.file("file", "content");
    for out in [format!("{file}/out"), scratch.path("missing/out")] {
        let result = tool::run(["build", "tour.wasm", "-o", &out]);
        let line = format!("error: {out}: cannot write: ");
        assert!(result.stderr.starts_with(&line), "{}", result.stderr);
        assert_eq!((result.code, result.stderr.lines().count()), (2, 1));
    }
    assert_eq!(scratch.list(), ["file"]);
    assert_eq!(fs::read(file).expect("read"), b"content");
}

#[test]
fn a_refused_build_leaves_the_old_artifact() {
    let scratch = Scratch::new();
    let out = scratch.file("out", "old");
    let bad = scratch.file("bad.wasm", b"\0asm\x01\0\0\0\x0b\xff");
    assert_eq!(tool::run(["build", &bad, "-o", &out]).code, 2);
    assert_eq!(fs::read(&out).expect("read"), b"old");
    tool::run(["build", "tour.wasm", "-o", &out]).success();
    assert_ne!(fs::read(&out).expect("read"), b"old");
    assert_eq!(scratch.list(), ["bad.wasm", "out"]);
}
