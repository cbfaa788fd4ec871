//! `verify` accepts what `build` writes, for our own modules and a corpus of real ones.

use std::fs;

use crate::tool::{self, Scratch, module_names};
use wasm_meminit_test_oracle::inputs;

const POLICIES: [&[&str]; 4] = [
    &["--policy", "balanced"],
    &["--policy", "reference"],
    &["--policy", "smallest"],
    &["--policy", "smallest", "--page-size", "64K"],
];

/// Builds and verifies with flags that both subcommands have.
#[track_caller]
fn check(module: &str, flags: &[&str], scratch: &Scratch) {
    let artifact = scratch.path("artifact");
    for policy in POLICIES {
        let common = [module].into_iter().chain(flags.iter().copied());
        let args = ["build"]
            .into_iter()
            .chain(common.clone())
            .chain(["-o", &artifact]);
        tool::run(args.chain(policy.iter().copied())).success();
        let result = tool::run(["verify"].into_iter().chain(common).chain([&*artifact])).success();
        assert!(
            result.contains("the source hash matches"),
            "{module}: {result}"
        );
    }
}

#[test]
fn our_own_modules() {
    let scratch = Scratch::new();
    for name in module_names() {
        match &*name {
            "component" => {
                check("component.wasm", &["--module", "0"], &scratch);
                check("component.wasm", &["--module", "1"], &scratch);
            }
            _ => check(&format!("{name}.wasm"), &[], &scratch),
        }
    }
}

#[test]
fn with_options_about_the_host() {
    let scratch = Scratch::new();
    check("tour.wasm", &["--global", "host.base=0x2000"], &scratch);
    check("imported.wasm", &["--assume-zeroed-imports"], &scratch);
}

/// Core modules nested in components are inputs of their own.
#[test]
fn every_input_and_the_corpus() {
    let corpus = inputs::corpus();
    let scratch = Scratch::new();
    for input in inputs::own_modules()
        .into_iter()
        .chain(corpus.into_iter().flatten())
    {
        eprintln!("{}", input.name); // shown if the test fails
        let module = scratch.file("module.wasm", &input.wasm);
        tool::run(["inspect", &module]).success();
        check(&module, &[], &scratch);
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let scratch = Scratch::new();
    let build = |module: &str, name| {
        let artifact = scratch.path(name);
        tool::run(["build", module, "-o", &artifact]).success();
        fs::read(artifact).expect("an artifact")
    };
    assert_eq!(build("tour.wasm", "a"), build("tour.wasm", "b"));
    // The hash is that of the binary assembled from the text.
    assert_eq!(build("tour.wasm", "a"), build("tour.wat", "c"));
}

#[test]
fn a_module_in_a_component_is_identified_by_its_own_bytes() {
    let scratch = Scratch::new();
    let second = "(memory (export \"memory\") 2) (data (i32.const 0x10100) \"second of two\")";
    let alone = scratch.module("alone.wasm", &format!("(module {second})"));
    let both = format!("(component (core module (memory 1)) (core module {second}))");
    let both = scratch.module("both.wasm", &both);
    let (a, b) = (scratch.path("a"), scratch.path("b"));
    tool::run(["build", &alone, "-o", &a]).success();
    tool::run(["build", &both, "-o", &b, "--module", "1"]).success();
    assert_eq!(fs::read(&a).expect("read"), fs::read(&b).expect("read"));
    // `verify` finds the right core module by its hash.
    let result = tool::run(["verify", &both, &a]).success();
    assert!(result.contains("the source hash matches"), "{result}");
}

#[test]
fn a_component_with_one_memory_needs_no_choice() {
    let scratch = Scratch::new();
    let text = r#"(component
        (core module (func))
        (core module (import "env" "memory" (memory 0)))
        (core module (memory 1) (data (i32.const 0) "x")))"#;
    check(&scratch.module("one.wasm", text), &[], &scratch);
}

#[test]
fn a_memory_of_many_gib_makes_a_small_artifact() {
    let scratch = Scratch::new();
    let text = r#"(module
        (memory i64 0x100000000)
        (memory 65536)
        (data (i64.const 0) "low")
        (data (i64.const 0xfffffffffff0) "high")
        (data (memory 1) (i32.const 0xffffffff) "!"))"#;
    let module = scratch.module("huge.wasm", text);
    check(&module, &[], &scratch);
    let artifact = scratch.path("artifact");
    tool::run(["build", &module, "-o", &artifact]).success();
    assert_eq!(fs::metadata(&artifact).expect("exists").len(), 4 * 4096);
}

#[test]
fn either_file_can_be_stdin() {
    let scratch = Scratch::new();
    let wasm = fs::read(tool::modules().join("tour.wasm")).expect("read");
    let artifact = scratch.path("artifact");
    tool::run_with_stdin(&["build", "-", "-o", &artifact], &wasm).success();
    tool::run_with_stdin(&["verify", "-", &artifact], &wasm).success();
    let artifact = fs::read(artifact).expect("read");
    tool::run_with_stdin(&["verify", "tour.wasm", "-"], &artifact).success();
}
