//! `dump`, `extract` and `diff` on real modules: `WASM_MEMINIT_CORPUS` names a directory of them,
//! relative to the repository.

use std::fs;
use std::path::Path;

use wasm_meminit_test_support::skips::skip_test;

use crate::tool::{self, Scratch};

/// How many bytes are compared from the first one of an image that is not zero.
const LEN: usize = 4096;

#[test]
fn an_artifact_has_the_bytes_of_its_module() {
    let Some(directory) = std::env::var_os("WASM_MEMINIT_CORPUS") else {
        skip_test("WASM_MEMINIT_CORPUS is not set");
        return;
    };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("a directory")
        .map(|it| it.expect("an entry").path())
        .filter(|it| it.extension().is_some_and(|it| it == "wasm"))
        .collect();
    files.sort();
    let mut n_compared = 0;
    for file in files {
        let file = file.to_str().expect("UTF-8");
        for policy in ["balanced", "smallest"] {
            n_compared += usize::from(is_compared(file, policy));
        }
    }
    assert_ne!(
        n_compared, 0,
        "no module of the corpus has data that is static"
    );
    println!("{n_compared} images compared");
}

/// Returns whether the module has an image of memory 0 with data.
fn is_compared(module: &str, policy: &str) -> bool {
    let options = [
        "--assume-zeroed-imports",
        "--start-function",
        "writes-stripped",
        "--policy",
        policy,
    ];
    let scratch = Scratch::new();
    let (artifact, raw) = (scratch.path("artifact"), scratch.path("raw"));
    let build = [&["build", module, "-o", &artifact], &options[..]].concat();
    // A component with several memories needs a choice.
    if tool::run(build).code != 0 {
        return false;
    }
    let report = tool::run(["diff", module, &artifact]).success();
    assert!(report.ends_with("\nno difference\n"), "{module}: {report}");
    if tool::run(["extract", &artifact, "0", "-o", &raw]).code != 0 {
        return false;
    }
    let bytes = fs::read(&raw).expect("read");
    let Some(first) = bytes.iter().position(|it| *it != 0) else {
        return false;
    };
    let last = bytes.len().min(first + LEN);
    let (addr, len) = (first.to_string(), (last - first).to_string());
    let dump = [&["dump", module, &addr, &len], &options[..]].concat();
    let dump = tool::run(dump).success();
    check_rows(&dump, first, &bytes[first..last]);
    let dump = tool::run(["dump", &artifact, &addr, &len]).success();
    check_rows(&dump, first, &bytes[first..last]);
    true
}

/// Checks every byte that a dump shows as known; rows that it folds are zero.
#[track_caller]
fn check_rows(dump: &str, first: usize, bytes: &[u8]) {
    let mut n_known = 0;
    for row in dump.lines() {
        let Some((addr, rest)) = row.split_once(": ") else {
            continue;
        };
        let (Ok(addr), true) = (usize::from_str_radix(addr, 16), addr.len() == 8) else {
            continue;
        };
        let digits: String = rest.chars().take(40).filter(|it| *it != ' ').collect();
        for (nth, pair) in digits.as_bytes().chunks(2).enumerate() {
            let pair = core::str::from_utf8(pair).expect("ASCII");
            if pair != "??" {
                let shown = u8::from_str_radix(pair, 16).expect("a byte");
                assert_eq!(shown, bytes[addr - first + nth], "{addr:#x} + {nth}");
                n_known += 1;
            }
        }
    }
    assert_ne!(n_known, 0, "{dump}");
}
