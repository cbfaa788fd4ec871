//! Threaded modules: `--start-function` from the report to the stripped module.

use std::fs;

use crate::tool::{self, Scratch};

const HOST: &str = "--assume-zeroed-imports";
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/modules/threads.wasm");

fn with(how: &str) -> [&str; 3] {
    [HOST, "--start-function", how]
}

#[test]
fn what_the_report_says() {
    let said = tool::run(["inspect", MODULE].into_iter().chain(with("emptied"))).fine();
    assert!(
        said.contains("3 segments of the start function in the image"),
        "{said}"
    );
    assert!(said.contains("its flag at 0x30c"), "{said}");

    let said = tool::run(["inspect", MODULE].into_iter().chain(with("finds-done"))).fine();
    assert!(
        said.contains("it sets global 0 for the first thread alone"),
        "{said}"
    );

    let args = ["inspect", "--json", MODULE].into_iter();
    let json = tool::run(args.chain(with("finds-done-as-thread"))).fine();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let start = &json["modules"][0]["start_function"]["writes"];
    assert_eq!(start["flag"], 0x30c, "{start}");
    assert_eq!(start["thread_local"]["address"], 0x300, "{start}");
}

#[test]
fn built_verified_and_stripped() {
    let scratch = Scratch::new();
    let (artifact, stripped) = (scratch.path("artifact"), scratch.path("stripped.wasm"));
    let files = ["-o", &artifact, "--strip", &stripped];
    let args = ["build", MODULE].into_iter().chain(with("emptied"));
    let said = tool::run(args.chain(files)).fine();
    assert!(said.contains("static, 3 segments in 1 run"), "{said}");
    tool::run(["verify", HOST, MODULE, &artifact]).fine();
    let stripped = fs::read(&stripped).expect("written");
    let original = fs::read(MODULE).expect("ours");
    let has = |wasm: &[u8], text: &[u8]| wasm.windows(text.len()).any(|it| it == text);
    // A function that each later thread calls needs its storage; the rest is in the image.
    for text in ["read-only data", "thread\0"] {
        assert!(has(&original, text.as_bytes()), "{text}");
    }
    assert!(!has(&stripped, b"read-only data"));
    assert!(has(&stripped, b"thread\0"));
}

#[test]
fn a_build_says_what_it_left_to_the_program() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let args = ["build", MODULE].into_iter().chain(with("finds-done"));
    let said = tool::run(args.chain(["-o", &artifact])).fine();
    let line = "the start function writes its segments itself: it sets global 0";
    assert!(said.contains(line), "{said}");
}

/// The artifact of another flag is not this module's.
#[test]
fn verify_names_the_difference() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let args = ["build", MODULE]
        .into_iter()
        .chain(with("finds-done-as-thread"));
    tool::run(args.chain(["-o", &artifact])).fine();
    tool::run(["verify", HOST, MODULE, &artifact]).fine();

    let text = fs::read_to_string(MODULE.replace(".wasm", ".wat")).expect("ours");
    let moved = scratch.module("moved.wasm", &text.replace("0x30c", "0x310"));
    let said = tool::run(["verify", HOST, &moved, &artifact]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("start function"), "{}", said.stderr);

    // The artifact says what was promised.
    let said = tool::run(["verify", MODULE, &artifact]).fine();
    assert!(said.contains("assumes: memory 0"), "{said}");
}
