//! `pack` and `build --strip` write the same program.

use std::fs;

use crate::tool::{self, Scratch};

const MODULE: &str = r#"(module
    (import "host" "base" (global $base i32))
    (memory (export "memory") 1)
    (data (i32.const 5) "world")
    (data (i32.const 0) "hello")
    (data (i32.const 64) "\00\00\00\00\00\00\00\00\00\00\00\00!")
    (data (global.get $base) "somewhere"))"#;

/// Returns how many active and passive segments `inspect` counts in a module.
#[track_caller]
fn segments(file: &str) -> (u64, u64) {
    let json = tool::run(["inspect", "--json", file]).success();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let segments = &json["modules"][0]["counts"];
    let number = |key: &str| segments[key].as_u64().expect("a number");
    (number("active"), number("passive"))
}

#[test]
fn a_packed_module_has_the_same_image() {
    let scratch = Scratch::new();
    let module = scratch.module("app.wasm", MODULE);
    let packed = scratch.path("small.wasm");
    let result = tool::run(["pack", &module, "-o", &packed]).success();
    assert!(result.contains("module 0: segments 4 -> 3, "), "{result}");
    assert_eq!(segments(&packed), (3, 0));

    // The one page of each image, after headers that differ in the source's hash.
    let page = |module: &str| {
        let artifact = scratch.path("artifact");
        let flags = ["--global", "host.base=100", "-o", &artifact];
        tool::run(["build", module].into_iter().chain(flags)).success();
        let bytes = fs::read(&artifact).expect("written");
        bytes[bytes.len() - 4096..].to_vec()
    };
    assert!(page(&module).starts_with(b"helloworld\0"));
    assert_eq!(page(&packed), page(&module));

    // Now the last segment's address is known, and there is no barrier.
    let flags = ["--global", "host.base=10"];
    let args = ["pack", &module, "-o", &packed].into_iter().chain(flags);
    let result = tool::run(args).success();
    assert!(result.contains("module 0: segments 4 -> 2, "), "{result}");
}

#[test]
fn a_component_is_packed_inside() {
    let scratch = Scratch::new();
    let text = format!("(component (core module $m {}", &MODULE[7..]) + ")";
    let component = scratch.module("app.wasm", &text);
    let packed = scratch.path("small.wasm");
    let result = tool::run(["pack", &component, "-o", &packed]).success();
    assert!(result.contains("module 0: segments 4 -> 3, "), "{result}");
    assert_eq!(segments(&packed), (3, 0));
    let bytes = |file| fs::read(file).expect("written").len();
    assert!(bytes(&packed) < bytes(&component));
}

#[test]
fn a_stripped_module_keeps_what_is_not_in_the_image() {
    let scratch = Scratch::new();
    let module = scratch.module("app.wasm", MODULE);
    let artifact = scratch.path("app.meminit");
    let stripped = scratch.path("stripped.wasm");
    let build = ["build", &module, "-o", &artifact, "--strip", &stripped];
    tool::run(build).success();
    assert_eq!(segments(&stripped), (1, 0));

    tool::run(build.into_iter().chain(["--externalize"])).success();
    let json = tool::run(["inspect", "--json", &stripped]).success();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["modules"][0]["memories"][0]["imported"], true);
    assert!(
        fs::read(&stripped)
            .expect("written")
            .windows(7)
            .any(|it| it == b"meminit")
    );
    tool::run(build.into_iter().chain(["--externalize=mine"])).success();
    assert!(
        fs::read(&stripped)
            .expect("written")
            .windows(4)
            .any(|it| it == b"mine")
    );
}

#[test]
fn conflicting_options_and_names_are_refused() {
    let scratch = Scratch::new();
    let module = scratch.module("app.wasm", MODULE);
    let out = scratch.path("out");
    let same = ["build", &module, "-o", &out, "--strip", &out];
    tool::run(same).fails_with(2, "error: --strip and --output name the same file");
    let alone = tool::run(["build", &module, "-o", &out, "--externalize"]);
    assert_eq!(alone.code, 2);

    let taken = scratch.module(
        "taken.wasm",
        r#"(module (import "meminit" "memory0" (func)) (memory 1) (data (i32.const 0) "x"))"#,
    );
    let stripped = scratch.path("stripped.wasm");
    let args = [
        "build",
        &taken,
        "-o",
        &out,
        "--strip",
        &stripped,
        "--externalize",
    ];
    let line =
        format!("error: {taken}: cannot import memory 0: another import already has its name");
    tool::run(args).fails_with(2, &line);
    // Nothing was written.
    assert_eq!(scratch.list(), ["app.wasm", "taken.wasm"]);
}
