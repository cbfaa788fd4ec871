//! `verify` with what the user knows about the host.

use std::fs;

use crate::tool::{self, Scratch};
use crate::verify::{MATCHES, with_header_of_any_length};

/// Regression: with the value that the user states, the image is right, but nothing keeps a host
/// with another one from using it.
#[test]
fn an_assumption_that_the_artifact_hides() {
    let scratch = Scratch::new();
    let module = scratch.module(
        "module.wasm",
        r#"(module (import "env" "base" (global $base i32)) (memory 1)
            (data (global.get $base) "hello"))"#,
    );
    let artifact = scratch.path("artifact");
    let known = ["--global", "env.base=1024"];
    let build = ["build", &module, "-o", &artifact];
    tool::run(build.into_iter().chain(known)).success();
    let bytes = fs::read(&artifact).expect("written");
    let hidden = with_header_of_any_length(bytes, |header| {
        // The count, then one assumption: kind, global, the import's names with their lengths,
        // and the value.
        let assumption = b"\x01\0\0\x03env\x04base\x7f\0\x04\0\0";
        let at = header
            .windows(assumption.len())
            .position(|it| it == assumption);
        let at = at.expect("the assumption");
        header.splice(at..at + assumption.len(), [0]);
    });
    fs::write(&artifact, hidden).expect("written");
    let line = "segment 0 is not replayed although its address is not known";
    let line = format!("difference: {artifact}: {line}; {MATCHES}");
    let verify = ["verify", &module, &artifact];
    tool::run(verify).fails_with(1, &line);
    tool::run(verify.into_iter().chain(known)).fails_with(1, &line);
}

/// Regressions: an artifact that reckons with more than the host does was a finding, because its
/// element segments may trap, or because its stripped module keeps segments.
#[test]
fn a_host_of_which_more_is_known() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let elements = r#"(module (import "e" "at" (global $at i32)) (import "e" "b" (global $b i32))
        (memory 1) (table 1 funcref) (func) (elem (global.get $at) 0)
        (data (global.get $b) "x"))"#;
    let elements = scratch.module("elements.wasm", elements);
    let build = ["build", &*elements, "-o", &*artifact];
    let known = ["--global", "e.b=8"];
    tool::run(build.into_iter().chain(known)).success();
    let verify = ["verify", &*elements, &*artifact];
    for at in ["e.at=0", "e.at=1"] {
        tool::run(verify.into_iter().chain(["--global", at])).success();
        tool::run(verify.into_iter().chain(["--global", at]).chain(known)).success();
    }

    // With its value, a segment always traps, so there are no images, and nothing is assumed.
    let traps = r#"(module (import "e" "b" (global $b i32)) (memory 1)
        (data (i32.const 8) "a") (data (global.get $b) "b"))"#;
    let traps = scratch.module("traps.wasm", traps);
    let (stripped, known) = (scratch.path("none.wasm"), ["--global", "e.b=64K"]);
    let build = ["build", &*traps, "-o", &artifact, "--strip", &stripped];
    tool::run(build.into_iter().chain(known)).success();
    for file in [&traps, &stripped] {
        tool::run(["verify", file, &artifact]).success();
        tool::run(["verify", file, &artifact].into_iter().chain(known)).success();
    }

    for (name, import, at, option) in [
        (
            "base",
            r#"(global $at i32)) (memory 1"#,
            "global.get $at",
            ["--global", "e.i=64"],
        ),
        (
            "size",
            "(memory 1)",
            "i32.const 0x10000",
            ["--memory", "e.i=2M"],
        ),
    ] {
        let text = format!(
            r#"(module (import "e" "i" {import}) (data (i32.const 8) "a") (data ({at}) "b"))"#
        );
        let module = scratch.module(&format!("{name}.wasm"), &text);
        let stripped = scratch.path("stripped.wasm");
        let build = ["build", &*module, "-o", &artifact, "--strip", &stripped];
        tool::run(build.into_iter().chain(["--assume-zeroed-imports"])).success();
        for file in [&module, &stripped] {
            tool::run(["verify", file, &artifact].into_iter().chain(option)).success();
        }
    }
}
