//! `extract`: an image as a plain file.

use std::fs;
use std::process::Stdio;

use crate::tool::{self, Scratch};

/// Every byte is at its address, and the file ends with the image.
#[test]
fn offsets_are_addresses() {
    let scratch = Scratch::new();
    let (artifact, raw) = (scratch.path("artifact"), scratch.path("raw"));
    tool::run(["build", "tour.wasm", "-o", &artifact]).success();
    let summary = tool::run(["extract", &artifact, "0", "-o", &raw]).success();
    let bytes = fs::read(&raw).expect("read");
    assert_eq!(
        summary,
        format!(
            "{raw}: 12,587,008 bytes, addresses 0x0..0xc01000
  memory 0: 2 runs of 16,384 bytes, the first at 0x0
  without 1 segment still to be replayed\n"
        )
    );
    assert_eq!(bytes.len(), 0xc0_1000);
    // What `dump` shows is what the file has.
    for addr in [0x400, 0x2000, 0xc0_0000_usize] {
        let dump = tool::run(["dump", &artifact, &addr.to_string(), "16"]).success();
        let row: String = dump
            .lines()
            .nth(2)
            .expect("a row")
            .chars()
            .skip(10)
            .take(40)
            .collect();
        let digits: String = row.split_whitespace().collect();
        let shown: String = bytes[addr..addr + 16]
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        assert_eq!(digits, shown, "{addr:#x}");
    }
    let n_data = bytes.iter().filter(|it| **it != 0).count();
    assert!(100 < n_data, "{n_data}");

    // A pipe gets the same bytes, with the holes as zeros; the summary goes to stderr.
    let file = fs::File::open(&artifact).expect("opened");
    let mut command = tool::command();
    command
        .args(["extract", "-", "0", "-o", "-"])
        .stdin(Stdio::from(file));
    let output = command.output().expect("the tool runs");
    assert!(output.status.success());
    assert_eq!(output.stdout, bytes);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(stderr, summary.replace(&raw, "stdout"));
}

/// Zeros take no room on disk.
#[cfg(target_os = "linux")]
#[test]
fn zeros_are_holes() {
    use std::os::unix::fs::MetadataExt;
    let scratch = Scratch::new();
    let text = r#"(module (memory 65536) (data (i32.const 0xfff00000) "high"))"#;
    let module = scratch.module("m.wasm", text);
    let (artifact, raw) = (scratch.path("artifact"), scratch.path("raw"));
    tool::run(["build", &module, "-o", &artifact]).success();
    tool::run(["extract", &artifact, "0", "-o", &raw]).success();
    let metadata = fs::metadata(&raw).expect("exists");
    assert_eq!(metadata.len(), 0xfff0_1000);
    assert!(
        metadata.blocks() * 512 <= 1 << 20,
        "{} blocks",
        metadata.blocks()
    );
}

/// With wasm pages of one byte, the memory may end within a page of the image.
#[test]
fn the_file_ends_with_the_memory() {
    let scratch = Scratch::new();
    let text = r#"(module (memory 5000 (pagesize 1)) (data (i32.const 4998) "ab"))"#;
    let module = scratch.module("m.wasm", text);
    let (artifact, raw) = (scratch.path("artifact"), scratch.path("raw"));
    tool::run(["build", &module, "-o", &artifact]).success();
    tool::run(["extract", &artifact, "0", "-o", &raw]).success();
    let bytes = fs::read(&raw).expect("read");
    assert_eq!(bytes.len(), 5000);
    assert!(bytes.ends_with(b"ab"));
}

#[test]
fn memories_without_an_image() {
    let scratch = Scratch::new();
    let (artifact, raw) = (scratch.path("artifact"), scratch.path("raw"));
    tool::run(["build", "empty.wasm", "-o", &artifact]).success();
    let summary = tool::run(["extract", &artifact, "0", "-o", &raw]).success();
    assert!(summary.ends_with("memory 0 has no image\n"), "{summary}");
    assert_eq!(fs::read(&raw).expect("read"), b"");
    tool::run(["extract", &artifact, "2", "-o", &raw]).fails_with(
        2,
        &format!("error: {artifact}: memory 2: the artifact has memories 0 to 1"),
    );
    let cause = "this is a WebAssembly binary; expected an artifact";
    let result = tool::run(["extract", "empty.wasm", "0", "-o", &raw]);
    result.fails_with(2, &format!("error: empty.wasm: {cause}"));
    let result = tool::run(["extract", &artifact, "0", "-o", &artifact]);
    assert!(
        result.stderr.contains("names the input file"),
        "{}",
        result.stderr
    );
    assert_eq!(scratch.list(), ["artifact", "raw"]);
}

/// A file that cannot be written whole leaves the old one.
#[cfg(target_os = "linux")]
#[test]
fn a_failure_leaves_the_old_file() {
    let scratch = Scratch::new();
    let (artifact, old) = (scratch.path("artifact"), scratch.file("old", "old"));
    tool::run(["build", "tour.wasm", "-o", &artifact]).success();
    let script = r#"trap "" XFSZ; ulimit -f 4; exec "$0" extract "$1" 0 -o "$2""#;
    let tool = env!("CARGO_BIN_EXE_wasm-meminit");
    let mut shell = std::process::Command::new("sh");
    let output = shell
        .args(["-c", script, tool, &artifact, &old])
        .output()
        .expect("a shell");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read(&old).expect("read"), b"old");
    assert_eq!(scratch.list(), ["artifact", "old"]);
}
