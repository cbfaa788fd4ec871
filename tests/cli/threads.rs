//! Threaded modules: `--start-function` from the report to the stripped module.

use std::fs;

use sha2::{Digest as _, Sha256};

use crate::tool::{self, Scratch};
use crate::verify::{replace, with_header};

const HOST: &str = "--assume-zeroed-imports";
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/modules/threads.wasm");

fn with(how: &str) -> [&str; 3] {
    [HOST, "--start-function", how]
}

#[test]
fn the_report_describes_the_start_function() {
    let result = tool::run(
        ["inspect", MODULE]
            .into_iter()
            .chain(with("writes-stripped")),
    )
    .success();
    let result = result.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        result.contains("the image of memory 0 holds 3 segments of the start function"),
        "{result}"
    );
    assert!(result.contains("its flag at 0x30c; "), "{result}");

    let result = tool::run(
        ["inspect", MODULE]
            .into_iter()
            .chain(with("already-initialized")),
    )
    .success();
    let result = result.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        result.contains("it sets global 0 only in the first thread"),
        "{result}"
    );

    let args = ["inspect", "--json", MODULE].into_iter();
    let json = tool::run(args.chain(with("already-initialized-tls"))).success();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let start = &json["modules"][0]["start_function"]["writes"];
    assert_eq!(start["flag"], 0x30c, "{start}");
    assert_eq!(start["thread_local"]["addr"], 0x300, "{start}");
}

#[test]
fn built_verified_and_stripped() {
    let scratch = Scratch::new();
    let (artifact, stripped) = (scratch.path("artifact"), scratch.path("stripped.wasm"));
    let files = ["-o", &artifact, "--strip", &stripped];
    let args = ["build", MODULE].into_iter().chain(with("writes-stripped"));
    let result = tool::run(args.chain(files)).success();
    assert!(result.contains("static, 3 segments in 1 run"), "{result}");
    tool::run(["verify", HOST, MODULE, &artifact]).success();
    let stripped = fs::read(&stripped).expect("written");
    let original = fs::read(MODULE).expect("ours");
    let has = |wasm: &[u8], text: &[u8]| wasm.windows(text.len()).any(|it| it == text);
    // Each later thread initialises its thread-local storage; the rest is in the image.
    for text in ["read-only data", "thread\0"] {
        assert!(has(&original, text.as_bytes()), "{text}");
    }
    assert!(!has(&stripped, b"read-only data"));
    assert!(has(&stripped, b"thread\0"));
}

/// A forged artifact may say that any module is the stripped one. Regression: one whose start
/// function still copies what the image has was accepted.
#[test]
fn a_module_whose_start_function_copies_is_not_stripped() {
    let scratch = Scratch::new();
    for module in ["threads.wasm", "threads64.wasm"] {
        let module = MODULE.replace("threads.wasm", module);
        let (artifact, stripped) = (scratch.path("artifact"), scratch.path("stripped.wasm"));
        let files = ["-o", &artifact, "--strip", &stripped];
        let args = ["build", &module].into_iter();
        tool::run(args.chain(with("writes-stripped")).chain(files)).success();
        tool::run(["verify", HOST, &stripped, &artifact]).success();

        let [original, other] = [&module, &stripped].map(|it| {
            let file = fs::read(it).expect("a module");
            <[u8; 32]>::from(Sha256::digest(file))
        });
        let bytes = with_header(fs::read(&artifact).expect("written"), |header| {
            for (from, to) in [(original, [7; 32]), (other, original)] {
                let at = header.windows(32).position(|it| it == from);
                let at = at.expect("a hash in the header");
                header[at..at + 32].copy_from_slice(&to);
            }
        });
        let forged = scratch.file("forged", &bytes);
        let result = tool::run(["verify", HOST, &module, &forged]);
        let cause = "the module is not stripped: segment ";
        assert!(result.stderr.contains(cause), "{module}: {}", result.stderr);
        assert_eq!(result.code, 1);
    }
}

/// Regression: the host was not asked for its promise, and ran with thread-local storage at 0.
#[test]
fn a_promise_cannot_be_taken_out() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let build = ["build", MODULE, "-o", &artifact].into_iter();
    tool::run(build.chain(with("already-initialized-tls"))).success();
    let bytes = with_header(fs::read(&artifact).expect("written"), |header| {
        // The policy's last two fields and the number of assumptions; and the last of these.
        for (from, to) in [([1, 2, 2], [1, 1, 2]), ([3, 0, 2], [3, 0, 1])] {
            replace(header, &from, &to);
        }
    });
    let forged = scratch.file("forged", &bytes);
    let cause = format!("error: {forged}: artifact damaged: invalid assumptions");
    tool::run(["verify", MODULE, &forged]).fails_with(2, &cause);
}

#[test]
fn build_reports_segments_left_to_the_start_function() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let args = ["build", MODULE]
        .into_iter()
        .chain(with("already-initialized"));
    let result = tool::run(args.chain(["-o", &artifact])).success();
    let line = "the start function still copies its segments: it sets global 0";
    assert!(result.contains(line), "{result}");
}

/// An artifact with a different flag address does not fit this module.
#[test]
fn verify_names_the_difference() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let args = ["build", MODULE]
        .into_iter()
        .chain(with("already-initialized-tls"));
    tool::run(args.chain(["-o", &artifact])).success();
    tool::run(["verify", HOST, MODULE, &artifact]).success();

    let text = fs::read_to_string(MODULE.replace(".wasm", ".wat")).expect("ours");
    let moved = scratch.module("moved.wasm", &text.replace("0x30c", "0x310"));
    let result = tool::run(["verify", HOST, &moved, &artifact]);
    assert_eq!(result.code, 1, "{}", result.stderr);
    assert!(
        result.stderr.contains("start function"),
        "{}",
        result.stderr
    );

    // The artifact records the promise.
    let result = tool::run(["verify", MODULE, &artifact]).success();
    assert!(result.contains("assumes: memory 0"), "{result}");
}
