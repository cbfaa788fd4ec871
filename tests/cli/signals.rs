//! Signals end the tool at once, and leave no temporary file.

use core::time::Duration;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread;

use wasm_meminit_test_support::skips::skip_test;

use crate::tool::{self, Scratch};

const MODULE: &str = r#"(module (memory 1) (data (i32.const 0) "hello"))"#;

/// The second output is a pipe without a reader, so that the first one's temporary file exists
/// when the signal arrives.
#[test]
fn a_signal_leaves_no_temporary_file() {
    let signals = [
        ("INT", 2_u32),
        ("TERM", 15),
        ("HUP", 1),
        ("QUIT", 3),
        ("ABRT", 6),
        ("ALRM", 14),
        #[cfg(target_os = "linux")]
        ("USR1", 10),
        #[cfg(target_os = "linux")]
        ("USR2", 12),
        ("XCPU", 24),
        ("VTALRM", 26),
        ("PROF", 27),
    ];
    for (name, number) in signals {
        if is_ignored(number) {
            skip_test(&format!("SIG{name} is ignored, and the tool inherits that"));
            continue;
        }
        let scratch = Scratch::new();
        let app = scratch.module("app.wasm", MODULE);
        let (old, pipe) = (scratch.file("old", "old"), scratch.fifo("pipe"));
        let list = scratch.list();
        let mut command = tool::command();
        command.args(["build", &app, "-o", &old, "--strip", &pipe]);
        // Where a signal dumps core, the file goes there.
        let elsewhere = Scratch::new();
        command.current_dir(elsewhere.path("."));
        let mut child = command
            .stdout(Stdio::null())
            .spawn()
            .expect("the tool runs");
        while scratch.list() == list {
            thread::sleep(Duration::from_millis(2));
        }
        tool::signal(&child, name);
        let status = child.wait().expect("it ends");
        assert_eq!(status.signal(), Some(number.cast_signed()), "{status}");
        assert_eq!(scratch.list(), list);
        assert_eq!(fs::read(&old).expect("read"), b"old");
    }
}

/// Nobody reads the report, and the pipe is full: the tool, whose output is complete, waits.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_a_tool_that_waits_for_the_reader_of_its_report() {
    use std::fs::File;
    use std::io::Write;
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let (out, pipe) = (scratch.path("out"), scratch.fifo("pipe"));
    let mut options = File::options();
    let mut reader = options.read(true).write(true).open(&pipe).expect("a pipe");
    // Its capacity, if nothing was changed.
    reader.write_all(&[0; 64 << 10]).expect("room");
    let writer = File::options().write(true).open(&pipe).expect("a pipe");
    let mut command = tool::command();
    command.args(["build", &app, "-o", &out]).stdout(writer);
    let mut child = command.spawn().expect("the tool runs");
    while !fs::exists(&out).expect("checked") || !tool::is_in_state(&child, 'S') {
        assert_eq!(child.try_wait().expect("a child"), None, "it waits");
        thread::sleep(Duration::from_millis(2));
    }
    tool::signal(&child, "TERM");
    let start = std::time::Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if Duration::from_secs(20) < start.elapsed() {
            child.kill().expect("killed");
        }
        thread::sleep(Duration::from_millis(2));
    }
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(15), "{status}");
    drop(reader);
}

/// Whether this process ignores a signal, as one that was started with `nohup` or `&`.
pub(crate) fn is_ignored(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    ignored.is_some_and(|it| it >> (number - 1) & 1 == 1)
}

/// A signal that was ignored when the tool started, as with `nohup` and `&`, stays ignored.
#[cfg(target_os = "linux")]
#[test]
fn an_ignored_signal_stays_ignored() {
    let scratch = Scratch::new();
    let app = scratch.module("app.wasm", MODULE);
    let (out, pipe) = (scratch.path("out"), scratch.fifo("pipe"));
    let list = scratch.list();
    let script = r#"trap "" INT; exec "$@""#;
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_wasm-meminit")]);
    command.args(["build", &app, "-o", &out, "--strip", &pipe]);
    let mut child = command.stdout(Stdio::null()).spawn().expect("a shell");
    while scratch.list() == list {
        thread::sleep(Duration::from_millis(2));
    }
    tool::signal(&child, "INT");
    // The reader that the tool waits for.
    assert!(!fs::read(&pipe).expect("read").is_empty());
    assert!(child.wait().expect("it ends").success());
    assert!(fs::exists(&out).expect("checked"));
}
