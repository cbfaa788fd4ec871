//! Tests that need Linux: full devices, limits, links, permissions, closed pipes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::thread;

use crate::tool::{self, Scratch};

const FULL: &str = "No space left on device (os error 28)";

/// The test uses its own pipe first: a bug that replaces special files would, for root, also
/// replace `/dev/full`.
#[test]
fn special_files_are_written_to_and_not_replaced() {
    let scratch = Scratch::new();
    let (file, pipe) = (scratch.path("file"), scratch.fifo("pipe"));
    tool::run(["build", "tour.wasm", "-o", &file]).success();
    let reader = thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe)
    });
    tool::run(["build", "tour.wasm", "-o", &pipe]).success();
    let kind = |path: &str| fs::metadata(path).expect("exists").file_type();
    assert!(kind(&pipe).is_fifo());
    let piped = reader.join().expect("no panic").expect("read");
    assert_eq!(piped, fs::read(&file).expect("read"));

    for args in [
        ["build", "tour.wasm", "-o", "/dev/full"],
        ["inspect", "tour.wasm", "--html", "/dev/full"],
    ] {
        let line = format!("error: /dev/full: cannot write: {FULL}");
        tool::run(args).fails_with(2, &line);
    }
    assert!(kind("/dev/full").is_char_device());
}

#[test]
fn an_endless_device_is_not_read() {
    let cause = "neither a WebAssembly binary nor WebAssembly text";
    tool::run(["inspect", "/dev/zero"]).fails_with(2, &format!("error: /dev/zero: {cause}"));
}

#[test]
fn a_directory_that_allows_no_new_file() {
    let result = tool::run(["build", "tour.wasm", "-o", "/proc/out"]);
    assert!(
        result
            .stderr
            .starts_with("error: /proc/out: cannot write: "),
        "{}",
        result.stderr
    );
    assert_eq!(result.code, 2);
}

/// The limit on file sizes makes a write fail half-way, as a full disk does.
#[test]
fn a_write_that_fails_half_way_leaves_the_old_file() {
    let scratch = Scratch::new();
    let out = scratch.file("out", "old");
    // Whether or not the signal is ignored, the write itself fails.
    for trap in ["", "trap '' XFSZ;"] {
        let script = format!(r#"{trap} ulimit -f 4; exec "$0" build tour.wasm -o "$1""#);
        let tool = env!("CARGO_BIN_EXE_wasm-meminit");
        let output = Command::new("sh")
            .current_dir(tool::modules())
            .args(["-c", &script, tool, &out])
            .output()
            .expect("a shell");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(
            stderr,
            format!("error: {out}: cannot write: File too large (os error 27)\n")
        );
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(fs::read(&out).expect("read"), b"old");
        assert_eq!(scratch.list(), ["out"]);
    }
}

#[test]
fn stdout_that_is_full_or_closed() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("exists");
    let output = tool::command()
        .args(["inspect", "tour.wasm"])
        .stdout(full)
        .output();
    let output = output.expect("the tool runs");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(
        (output.status.code(), stderr),
        (Some(2), format!("error: stdout: {FULL}\n"))
    );

    for args in [
        &["--help"][..],
        &["build", "-h"],
        &["--version"],
        &["dump", "tour.wasm", "0"],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("exists");
        let output = tool::command().args(args).stdout(full).output();
        let output = output.expect("the tool runs");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        let expected = (Some(2), format!("error: stdout: {FULL}\n"));
        assert_eq!((output.status.code(), stderr), expected, "{args:?}");
    }

    // As with `| head`: the reader exits before the report is written.
    let mut command = tool::command();
    command
        .args(["inspect", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool runs");
    drop(child.stdout.take());
    let wasm = fs::read(tool::modules().join("tour.wasm")).expect("read");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(&wasm)
        .expect("written");
    let output = child.wait_with_output().expect("the tool ends");
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
}

#[test]
fn permissions_and_links_are_kept() {
    let scratch = Scratch::new();
    let mode = |path: &str| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
    let (new, plain) = (scratch.path("new"), scratch.file("plain", ""));
    tool::run(["build", "tour.wasm", "-o", &new]).success();
    assert_eq!(mode(&new), mode(&plain), "like any new file");

    fs::set_permissions(&new, fs::Permissions::from_mode(0o640)).expect("set");
    let link = scratch.path("link");
    symlink(&new, &link).expect("a link");
    let before = fs::read(&new).expect("read");
    tool::run(["build", "hello.wasm", "-o", &link]).success();
    assert_eq!(mode(&new), 0o640);
    assert!(fs::symlink_metadata(&link).expect("exists").is_symlink());
    assert_ne!(fs::read(&new).expect("read"), before);
}

#[test]
fn colours_only_if_requested() {
    let forced = |name: Option<&str>| {
        let mut command = tool::command();
        command
            .args(["inspect", "tour.wasm"])
            .env("CLICOLOR_FORCE", "1");
        if let Some(name) = name {
            command.env_remove("CLICOLOR_FORCE").env(name, "1");
        }
        let output = command.output().expect("the tool runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert!(forced(None).contains("\u{1b}[32m"));
    assert!(!forced(Some("NO_COLOR")).contains('\u{1b}'));
}

/// Verifying needs memory for the data that is written, not for the pages it is written to.
#[test]
fn sparse_bytes_are_verified_in_little_memory() {
    let scratch = Scratch::new();
    let segments: String = (0..100_000_u32)
        .map(|nth| format!(r#"(data (i32.const {}) "x")"#, nth * 40_000))
        .collect();
    let text = format!("(module (memory 65536) {segments})");
    let (module, artifact) = (
        scratch.module("module.wasm", &text),
        scratch.path("artifact"),
    );
    tool::run(["build", &module, "-o", &artifact]).success();
    // 100,000 pages of 4 KiB on each of two sides would be 800 MB.
    let script = r#"ulimit -v 250000; exec "$0" verify "$1" "$2""#;
    let tool = env!("CARGO_BIN_EXE_wasm-meminit");
    let mut shell = Command::new("sh");
    let output = shell
        .args(["-c", script, tool, &module, &artifact])
        .output();
    let output = output.expect("a shell");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
