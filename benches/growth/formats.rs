//! The tool and each of its output formats, on input that is made to be slow. Its start and
//! its pipes count in: there the exponent of small input is below 1.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::fit::Row;
use crate::inputs::{active, imported_globals, replayed};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "inspect: all is replayed, each for a reason",
        input: replayed,
        run: |wasm| tool(&["inspect", "-"], wasm),
    },
    Row {
        name: "inspect --json: the same",
        input: replayed,
        run: |wasm| tool(&["inspect", "--json", "-"], wasm),
    },
    Row {
        name: "inspect --html: the same",
        input: replayed,
        run: |wasm| tool(&["inspect", "--html", "-", "-"], wasm),
    },
    Row {
        name: "inspect --json: a run for each byte",
        input: runs,
        run: |wasm| tool(&["inspect", "--policy", "smallest", "--json", "-"], wasm),
    },
    Row {
        name: "inspect --html: a run for each byte",
        input: runs,
        run: |wasm| {
            let args = ["inspect", "--policy", "smallest", "--html", "-", "-"];
            tool(&args, wasm);
        },
    },
    Row {
        name: "inspect: values of globals that are not known",
        input: imported_globals,
        run: |wasm| tool(&["inspect", "-"], wasm),
    },
    Row {
        name: "inspect --json: the same",
        input: imported_globals,
        run: |wasm| tool(&["inspect", "--json", "-"], wasm),
    },
    Row {
        name: "build: a run for each byte",
        input: runs,
        run: |wasm| tool(&["build", "--policy", "smallest", "-", "-o", "-"], wasm),
    },
    Row {
        name: "pack",
        input: |n| active(n, 1, |nth, n| (0, (n - nth) * 16, vec![1])),
        run: |wasm| tool(&["pack", "-", "-o", "-"], wasm),
    },
];

fn runs(n: u32) -> Vec<u8> {
    active(n, 1, |nth, _| (0, nth * 8192, vec![1]))
}

/// Runs the tool on what it reads from its pipe.
fn tool(args: &[&str], wasm: &[u8]) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wasm-meminit"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool");
    let written = child.stdin.take().expect("a pipe").write_all(wasm);
    let done = child.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?}: {}\n{said}", done.status);
    written.expect("all of it was read");
}
