//! Inputs that change while they are read.
//!
//! The tool is stopped in the middle of its input, found by the position of its descriptor;
//! then the file changes, and the tool continues.

use core::time::Duration;
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

use super::{module, read};
use crate::tool::{self, Scratch};

/// How often a run is started anew, because it had read its input before it was stopped.
const MAX_TRIES: usize = 200;

/// One way in which a file changes, given the path and other content of the same length.
type Change = fn(&str, &[u8]);

const CHANGES: [(&str, Change); 4] = [
    ("overwritten", |path, other| {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(path)
            .expect("opened");
        file.write_all_at(other, 0).expect("written");
    }),
    ("overwritten in one place", |path, other| {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(path)
            .expect("opened");
        let at = other.len() - 100;
        file.write_all_at(&other[at..], at as u64).expect("written");
    }),
    ("truncated", |path, other| {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(path)
            .expect("opened");
        file.set_len(other.len() as u64 - 100).expect("truncated");
    }),
    ("extended", |path, other| {
        let file = fs::OpenOptions::new().append(true).open(path);
        file.expect("opened")
            .write_all(&other[..100])
            .expect("written");
    }),
];

/// Returns how far the process has read the file; `None` if it has not opened it, or no longer.
fn position(child: &Child, file: &Path) -> Option<u64> {
    let process = Path::new("/proc").join(child.id().to_string());
    let descriptors = fs::read_dir(process.join("fd")).ok()?;
    for descriptor in descriptors {
        let name = descriptor.ok()?.file_name();
        if fs::read_link(process.join("fd").join(&name)).is_ok_and(|it| it == file) {
            let info = fs::read_to_string(process.join("fdinfo").join(&name)).ok()?;
            let line = info.lines().find_map(|it| it.strip_prefix("pos:"))?;
            return line.trim().parse().ok();
        }
    }
    None
}

/// Starts the tool, stops it when it has read a part of `file`, changes the file, and returns
/// the exit code and stderr.
fn changed_while_read(
    args: &[&str],
    file: &str,
    from_stdin: bool,
    prepare: impl Fn(),
    change: impl Fn(),
) -> (Option<i32>, String) {
    let path = fs::canonicalize(file).expect("exists");
    let len = fs::metadata(&path).expect("exists").len();
    for _ in 0..MAX_TRIES {
        // A run that was not stopped in time has written its output.
        prepare();
        let mut command = tool::command();
        command
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if from_stdin {
            command.stdin(fs::File::open(&path).expect("opened"));
        }
        let mut child = command.spawn().expect("the tool runs");
        let is_inside = |child: &Child| position(child, &path).is_some_and(|it| 0 < it && it < len);
        while !is_inside(&child) && child.try_wait().expect("a child").is_none() {}
        if child.try_wait().expect("a child").is_none() {
            tool::signal(&child, "STOP");
            while !tool::is_in_state(&child, 'T') && child.try_wait().expect("a child").is_none() {
                thread::yield_now();
            }
            let is_caught = is_inside(&child);
            if is_caught {
                // Longer than the resolution of a file's time on any kernel.
                thread::sleep(Duration::from_millis(20));
                change();
            }
            tool::signal(&child, "CONT");
            if is_caught {
                let done = child.wait_with_output().expect("it ends");
                let stderr = String::from_utf8(done.stderr).expect("UTF-8");
                return (done.status.code(), stderr);
            }
        }
        child.wait().expect("it ends");
    }
    panic!("{MAX_TRIES} runs had read {file} before they were stopped");
}

/// A mixture of two files is not a result, although it is a valid module.
#[test]
fn an_input_that_changes_is_refused() {
    let scratch = Scratch::new();
    let (first, second) = (module(1500, 16 << 10, 1), module(1500, 16 << 10, 2));
    assert_eq!(first.len(), second.len());
    let wasm = scratch.file("in.wasm", &first);
    let whole = scratch.path("whole.meminit");
    tool::run(["build", &wasm, "-o", &whole]).success();
    let artifact_bytes = read(&whole);
    let (artifact, old) = (
        scratch.file("a.meminit", &artifact_bytes),
        scratch.file("old", "old"),
    );
    let list = scratch.list();
    let write_old = || fs::write(&old, "old").expect("written");
    let mut n_refused = 0;
    let mut refused = |args: &[&str], name: &str, file: &str, change: &dyn Fn()| {
        let shown = if name == "-" { "stdin" } else { file };
        let (code, stderr) = changed_while_read(args, file, name == "-", write_old, change);
        let expected = format!(
            "error: {shown}: the file changed while it was read\n\
             hint: run the command again when nothing writes to the file\n"
        );
        assert_eq!((code, stderr), (Some(2), expected), "{args:?}");
        assert!(read(&old) == b"old", "{args:?}");
        n_refused += 1;
    };
    for (_, change) in CHANGES {
        fs::write(&wasm, &first).expect("written");
        refused(&["build", &wasm, "-o", &old], &wasm, &wasm, &|| {
            change(&wasm, &second)
        });
    }
    let overwritten = CHANGES[0].1;
    for args in [
        &["pack", &wasm, "-o", &old][..],
        &["inspect", &wasm, "--html", &old],
        &["verify", &wasm, &artifact],
        &["build", "-", "-o", &old],
    ] {
        fs::write(&wasm, &first).expect("written");
        let name = if args[1] == "-" { "-" } else { &*wasm };
        refused(args, name, &wasm, &|| overwritten(&wasm, &second));
    }
    fs::write(&wasm, &first).expect("written");
    let other = vec![7; artifact_bytes.len()];
    for args in [
        &["verify", &wasm, &artifact][..],
        &["extract", &artifact, "0", "-o", &old],
    ] {
        fs::write(&artifact, &artifact_bytes).expect("written");
        refused(args, &artifact, &artifact, &|| {
            overwritten(&artifact, &other);
        });
    }
    assert_eq!(n_refused, CHANGES.len() + 6);
    assert_eq!(scratch.list(), list);
}

/// A file that is replaced by another one, as editors, compilers and this tool do, is read to
/// the end as it was.
#[test]
fn a_replaced_input_is_the_old_one() {
    let scratch = Scratch::new();
    let (first, second) = (module(1500, 16 << 10, 1), module(1500, 16 << 10, 2));
    let wasm = scratch.file("in.wasm", &first);
    let (whole, out) = (scratch.path("whole.meminit"), scratch.path("out.meminit"));
    tool::run(["build", &wasm, "-o", &whole]).success();
    let next = scratch.file("next.wasm", &second);
    let done = changed_while_read(
        &["build", &wasm, "-o", &out],
        &wasm,
        false,
        || (),
        || {
            fs::rename(&next, &wasm).expect("renamed");
        },
    );
    assert_eq!(done, (Some(0), String::new()));
    assert!(read(&out) == read(&whole), "another module's artifact");
    assert!(read(&wasm) == second, "the new file");
}
