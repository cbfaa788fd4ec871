//! The tool and each of its output formats, on worst-case input. The times include the start
//! of the process and its pipes, so the exponent of small input is below 1.

use std::io::Write;
use std::process::{Command, Stdio};

use wasm_meminit::{Module, Policy};

use crate::analysis::supplied;
use crate::fit::Row;
use crate::inputs::{active, imported_globals, replayed};
use crate::wasm::{Wasm, unsigned};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "inspect: everything replayed, each for a reason",
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
        name: "inspect --html: contents and names",
        input: named,
        run: |wasm| tool(&["inspect", "--html", "-", "-"], wasm),
    },
    Row {
        name: "inspect --svg: the same",
        input: named,
        run: |wasm| tool(&["inspect", "--svg", "-", "-"], wasm),
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
        name: "inspect: unknown values of globals",
        input: imported_globals,
        run: |wasm| tool(&["inspect", "-"], wasm),
    },
    Row {
        name: "inspect --json: the same",
        input: imported_globals,
        run: |wasm| tool(&["inspect", "--json", "-"], wasm),
    },
    Row {
        name: "inspect: an option for every fourth import",
        input: imported_globals,
        run: |wasm| {
            let module = Module::parse(wasm).expect("well formed");
            let imports = module.global_imports().values().step_by(4);
            let options = imports.map(|it| format!("--global={}.{}=8", it.module, it.name));
            let options: Vec<String> = options.collect();
            let args = ["inspect", "-"].into_iter();
            let args: Vec<&str> = args.chain(options.iter().map(String::as_str)).collect();
            tool(&args, wasm);
        },
    },
    Row {
        name: "inspect: imported memories with long names",
        input: long_names,
        run: |wasm| tool(&["inspect", "-"], wasm),
    },
    Row {
        name: "inspect --segments: everything replayed",
        input: replayed,
        run: |wasm| tool(&["inspect", "--segments", "-"], wasm),
    },
    Row {
        name: "inspect --segments --json: the same",
        input: replayed,
        run: |wasm| tool(&["inspect", "--segments", "--json", "-"], wasm),
    },
    Row {
        name: "inspect --json: an artifact",
        input: |n| built(&replayed(n)),
        run: |artifact| tool(&["inspect", "--json", "-"], artifact),
    },
    Row {
        name: "inspect --json: core instances",
        input: instances,
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
    Row {
        name: "diff: other reasons, everything replayed",
        input: replayed,
        run: |wasm| tool(&["diff", "--with-policy", "reference", "-"], wasm),
    },
    Row {
        name: "diff --json: a segment on every other page",
        input: |n| active(n, 1, |nth, _| (0, nth * 8192, vec![1])),
        run: |wasm| {
            let args = ["diff", "--json", "--with-policy", "smallest", "-"];
            tool(&args, wasm);
        },
    },
    Row {
        name: "diff: an assumption for each segment",
        input: |n| {
            let at = |nth: u32, out: &mut Vec<u8>| {
                out.extend_from_slice(&[0, 0x23]);
                unsigned(nth.into(), out);
                out.extend_from_slice(&[0x0b, 1, 1]);
            };
            let module = Wasm::new().imported_globals(n).memories(1);
            module.section(11, n, at).finish()
        },
        run: |wasm| {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("artifact");
            let module = supplied(Module::parse(wasm).expect("well formed"));
            let built = wasm_meminit::build(&module, &Policy::default()).expect("small");
            std::fs::write(&file, built).expect("room");
            tool(&["diff", "-", file.to_str().expect("text")], wasm);
        },
    },
    Row {
        name: "diff: addresses over definitions",
        input: definitions,
        run: diff_with_itself,
    },
    Row {
        name: "diff: addresses over imports with one long name",
        input: long_module_name,
        run: diff_with_itself,
    },
    Row {
        name: "dump: segments in one place",
        input: |n| active(n, 1, |nth, _| (0, nth % 1000, vec![1; 16])),
        run: |wasm| tool(&["dump", "-", "0", "1K"], wasm),
    },
    Row {
        name: "dump --json: gaps between segments",
        input: |n| active(n, 1, |nth, n| (0, (n - nth) * 20, vec![1; 16])),
        run: |wasm| tool(&["dump", "--json", "-", "0", "2M"], wasm),
    },
    Row {
        name: "extract: an artifact",
        input: |n| built(&runs(n)),
        run: |artifact| tool(&["extract", "-", "0", "-o", "-"], artifact),
    },
];

/// Returns a module with a chain of globals, each of which is a long sum of the one before, and a
/// segment for each.
fn definitions(n: u32) -> Vec<u8> {
    let get = |global: u32, out: &mut Vec<u8>| {
        out.push(0x23);
        unsigned(global.into(), out);
    };
    let global = |nth: u32, out: &mut Vec<u8>| {
        out.extend_from_slice(&[0x7f, 0]);
        get(nth, out);
        for _ in 0..20 {
            get(nth, out);
            out.push(0x6a);
        }
        out.push(0x0b);
    };
    let segment = |nth: u32, out: &mut Vec<u8>| {
        out.push(0);
        get(n - nth, out);
        out.extend_from_slice(&[0x0b, 1, 1]);
    };
    let module = Wasm::new().imported_globals(1).memories(1);
    module
        .section(6, n, global)
        .section(11, n, segment)
        .finish()
}

fn runs(n: u32) -> Vec<u8> {
    active(n, 1, |nth, _| (0, nth * 8192, vec![1]))
}

/// Returns a module that imports memories with long names, the last two with the same, and writes
/// to the last one at an address that the host chooses.
fn long_names(n: u32) -> Vec<u8> {
    // As long as the parser allows, in the largest input.
    let module = "m".repeat(n as usize);
    let common = &module[2..];
    let import = |module: &str, name: &str, ty: &[u8], out: &mut Vec<u8>| {
        for part in [module, name] {
            unsigned(part.len() as u64, out);
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(ty);
    };
    let wasm = Wasm::new().section(2, 101, |nth, out| match nth {
        100 => import("e", "base", &[3, 0x7f, 0], out),
        _ => {
            let name = format!("{common}{:02}", nth.min(98));
            import(&module, &name, &[2, 0, 1], out);
        }
    });
    let segments = |_: u32, out: &mut Vec<u8>| {
        out.extend_from_slice(&[2, 99, 0x23, 0, 0x0b, 1, 1]);
    };
    wasm.section(11, n, segments).finish()
}

fn diff_with_itself(wasm: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("module.wasm");
    std::fs::write(&file, wasm).expect("room");
    tool(&["diff", "-", file.to_str().expect("text")], wasm);
}

/// Returns a module with imported globals that share a long module name, and a segment at each.
fn long_module_name(n: u32) -> Vec<u8> {
    let text = |text: &str, out: &mut Vec<u8>| {
        unsigned(text.len() as u64, out);
        out.extend_from_slice(text.as_bytes());
    };
    // A compact group: one module name, one type, and the names of all.
    let group = |_: u32, out: &mut Vec<u8>| {
        // The parser allows no longer one.
        text(&"m".repeat((8 * n as usize).min(100_000)), out);
        out.extend_from_slice(&[0, 0x7e, 3, 0x7f, 0]);
        unsigned(n.into(), out);
        for nth in 0..n {
            text(&format!("{nth:x}"), out);
        }
    };
    let segment = |nth: u32, out: &mut Vec<u8>| {
        out.extend_from_slice(&[0, 0x23]);
        unsigned(nth.into(), out);
        out.extend_from_slice(&[0x0b, 1, 1]);
    };
    let memory = |_: u32, out: &mut Vec<u8>| out.extend_from_slice(&[0, 1]);
    let wasm = Wasm::new().section(2, 1, group).section(5, 1, memory);
    wasm.section(11, n, segment).finish()
}

/// Returns a module whose segments have names, in reverse order.
fn named(n: u32) -> Vec<u8> {
    let mut wasm = active(n, 1, |nth, n| (0, (n - nth) * 40, vec![1; 16]));
    let mut names = Vec::new();
    unsigned(n.into(), &mut names);
    for nth in 0..n {
        unsigned(nth.into(), &mut names);
        names.extend_from_slice(b"\x04name");
    }
    let mut section = b"\x04name\x09".to_vec();
    unsigned(names.len() as u64, &mut section);
    section.extend_from_slice(&names);
    wasm.push(0);
    unsigned(section.len() as u64, &mut wasm);
    wasm.extend_from_slice(&section);
    wasm
}

/// Returns the artifact of a module.
fn built(wasm: &[u8]) -> Vec<u8> {
    let module = Module::parse(wasm).expect("well formed");
    wasm_meminit::build(&module, &Policy::default()).expect("small")
}

/// Returns a component that instantiates one module with a hundred memories many times.
fn instances(n: u32) -> Vec<u8> {
    let section = |id: u8, contents: &[u8], out: &mut Vec<u8>| {
        out.push(id);
        unsigned(contents.len() as u64, out);
        out.extend_from_slice(contents);
    };
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    section(1, &Wasm::new().memories(100).finish(), &mut component);
    let mut all = Vec::new();
    unsigned(n.into(), &mut all);
    // Each instantiates core module 0 without arguments.
    all.resize(all.len() + 3 * n as usize, 0);
    section(2, &all, &mut component);
    component
}

/// Runs the tool with `wasm` as stdin.
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
    // `diff` ends with 1 if there is a difference.
    let is_diff = args[0] == "diff" && done.status.code() == Some(1);
    let is_fine = done.status.success() || is_diff;
    assert!(is_fine, "{args:?}: {}\n{said}", done.status);
    written.expect("all of it was read");
}
