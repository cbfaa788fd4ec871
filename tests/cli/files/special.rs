//! Outputs and inputs that are pipes, devices and links, and that fail half-way.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::thread;

use super::{module, read};
use crate::tool::{self, Scratch};

const FULL: &str = "No space left on device (os error 28)";
const BROKEN: &str = "Broken pipe (os error 32)";

/// Every option that names an output, and every command that prints to stdout.
#[test]
fn a_full_device_under_each_name() {
    let scratch = Scratch::new();
    let wasm = scratch.file("in.wasm", module(40, 4096, 1));
    let artifact = scratch.path("in.meminit");
    tool::run(["build", &wasm, "-o", &artifact]).success();
    let (old, link) = (scratch.file("old", "old"), scratch.path("link"));
    symlink("/dev/full", &link).expect("a link");
    let list = scratch.list();
    let mut n_refused = 0;
    for device in ["/dev/full", &link] {
        for args in [
            &["build", &wasm, "-o", device][..],
            &["build", &wasm, "-o", &old, "--strip", device],
            &["build", &wasm, "-o", device, "--strip", &old],
            &["pack", &wasm, "-o", device],
            &["inspect", &wasm, "--html", device],
            &["inspect", &wasm, "--svg", device],
            &["extract", &artifact, "0", "-o", device],
        ] {
            let line = format!("error: {device}: cannot write: {FULL}");
            tool::run(args).fails_with(2, &line);
            n_refused += 1;
        }
    }
    // Stdout is the device: by redirection, and named as an output.
    for args in [
        &["build", &wasm, "-o", "-"][..],
        &["build", &wasm, "-o", "/dev/stdout"],
        &["build", &wasm, "-o", &old, "--strip", "-"],
        &["pack", &wasm, "-o", "/dev/stdout"],
        &["inspect", &wasm, "--html", "-"],
        &["inspect", &wasm, "--svg", "-"],
        &["inspect", &wasm, "--json"],
        &["inspect", &wasm],
        &["extract", &artifact, "0", "-o", "-"],
        &["dump", &wasm, "0", "64K"],
        &["verify", &wasm, &artifact],
        &["diff", &wasm, &wasm],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let mut command = tool::command();
        command.args(args).stdout(full.expect("exists"));
        let done = command.output().expect("the tool runs");
        let stderr = String::from_utf8(done.stderr).expect("UTF-8");
        assert_eq!(stderr, format!("error: stdout: {FULL}\n"), "{args:?}");
        assert_eq!(done.status.code(), Some(2), "{args:?}");
        n_refused += 1;
    }
    assert_eq!(n_refused, 2 * 7 + 12);
    assert_eq!(read(&old), b"old");
    assert_eq!(scratch.list(), list);
}

/// The reader of a pipe leaves before the end: the output is incomplete, so this is an error,
/// and the other output is not replaced.
#[test]
fn a_pipe_that_closes() {
    let scratch = Scratch::new();
    let wasm = scratch.file("in.wasm", module(40, 4096, 1));
    // Enough segments for a page that is larger than a pipe; a picture is always smaller.
    let many = scratch.file("many.wasm", module(1000, 64, 1));
    let artifact = scratch.path("in.meminit");
    tool::run(["build", &wasm, "-o", &artifact]).success();
    let (old, pipe) = (scratch.file("old", "old"), scratch.fifo("pipe"));
    let list = scratch.list();
    let mut n_refused = 0;
    for args in [
        &["build", &wasm, "-o", &pipe][..],
        &["build", &wasm, "-o", &pipe, "--strip", &old],
        &["pack", &wasm, "-o", &pipe],
        &["inspect", &many, "--html", &pipe],
        &["extract", &artifact, "0", "-o", &pipe],
    ] {
        let reader = thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut file = fs::File::open(pipe).expect("opened");
                file.read_exact(&mut [0; 10]).expect("read");
            }
        });
        let line = format!("error: {pipe}: cannot write: {BROKEN}");
        tool::run(args).fails_with(2, &line);
        reader.join().expect("no panic");
        n_refused += 1;
    }
    assert_eq!(n_refused, 5);
    assert_eq!(read(&old), b"old");
    assert_eq!(scratch.list(), list);
}

/// An artifact that is cut short is no report that nobody reads to the end.
#[test]
fn a_closed_stdout_is_an_error_for_an_output() {
    let scratch = Scratch::new();
    let wasm = scratch.file("in.wasm", module(40, 4096, 1));
    let mut n_refused = 0;
    for args in [
        ["build", &wasm, "-o", "-"],
        ["pack", &wasm, "-o", "-"],
        ["build", &wasm, "-o", "/dev/stdout"],
    ] {
        let mut command = tool::command();
        command
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the tool runs");
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_exact(&mut [0; 10]).expect("read");
        drop(stdout);
        let done = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8(done.stderr).expect("UTF-8");
        assert_eq!(stderr, format!("error: stdout: {BROKEN}\n"));
        assert_eq!(done.status.code(), Some(2));
        n_refused += 1;
    }
    assert_eq!(n_refused, 3);
}

/// A writer that leaves early, for a pipe as the input: a module is cut, or an artifact is.
#[test]
fn an_input_pipe_that_ends_early() {
    let scratch = Scratch::new();
    let bytes = module(40, 4096, 1);
    let wasm = scratch.file("in.wasm", &bytes);
    let artifact = scratch.path("in.meminit");
    tool::run(["build", &wasm, "-o", &artifact]).success();
    let artifact = read(&artifact);
    let (old, pipe) = (scratch.file("old", "old"), scratch.fifo("pipe"));
    let list = scratch.list();
    let mut n_refused = 0;
    for (args, bytes) in [
        (["build", &pipe, "-o", &old], &bytes),
        (["pack", &pipe, "-o", &old], &bytes),
        (["inspect", &pipe, "--html", &old], &bytes),
        (
            ["verify", &pipe, &scratch.path("in.meminit"), "--quiet"],
            &bytes,
        ),
        (["verify", &wasm, &pipe, "--quiet"], &artifact),
    ] {
        for len in [0, 1, 7, 9000, bytes.len() - 1] {
            let part = bytes[..len].to_vec();
            let writer = thread::spawn({
                let pipe = pipe.clone();
                move || {
                    let file = fs::OpenOptions::new().write(true).open(pipe);
                    file.expect("opened").write_all(&part)
                }
            });
            let done = tool::run(args);
            let _ = writer.join().expect("no panic");
            let begin = format!("error: {pipe}: ");
            assert!(done.stderr.starts_with(&begin), "{args:?}, {len}: {done:?}");
            assert_eq!(done.stderr.lines().count(), 1, "{args:?}, {len}: {done:?}");
            assert_eq!(
                (done.code, done.stdout.as_str()),
                (2, ""),
                "{args:?}, {len}"
            );
            assert_eq!(read(&old), b"old");
            n_refused += 1;
        }
    }
    assert_eq!(n_refused, 5 * 5);
    assert_eq!(scratch.list(), list);
}
