//! What `verify` must find: each kind of difference, with its first place.

use std::fs;

use crate::tool::{self, Said, Scratch};

const MATCHES: &str = "the source hash matches";
const DIFFERS: &str = "the source hash differs: it was built from another module";

/// Builds from one module and verifies against another.
fn verify(built: &str, flags: &[&str], verified: &str) -> (String, Said) {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let built = scratch.module("built.wasm", built);
    let verified = scratch.module("verified.wasm", verified);
    let args = ["build", &*built, "-o", &artifact].into_iter();
    tool::run(args.chain(flags.iter().copied())).fine();
    let said = tool::run(["verify", &verified, &artifact]);
    (artifact, said)
}

#[track_caller]
fn differs(built: &str, flags: &[&str], verified: &str, difference: &str) {
    let hash = if built == verified { MATCHES } else { DIFFERS };
    let (artifact, said) = verify(built, flags, verified);
    said.complains(1, &format!("difference: {artifact}: {difference}; {hash}"));
}

fn two_memories(data: &str) -> String {
    format!(r#"(module (memory 1) (memory 1) (data (memory 1) (i32.const 0x1ffe) "{data}"))"#)
}

#[test]
fn a_byte() {
    let expected = two_memories("\\01\\02\\03\\04");
    differs(
        &two_memories("\\01\\02\\ff\\ff"),
        &[],
        &expected,
        "memory 1, address 0x2000: expected 0x03, found 0xff",
    );
    // Missing at the end, and one too many.
    differs(
        &two_memories("\\01\\02\\03"),
        &[],
        &expected,
        "memory 1, address 0x2001: expected 0x04, found 0x00",
    );
    differs(
        &two_memories("\\01\\02\\03\\04\\05"),
        &[],
        &expected,
        "memory 1, address 0x2002: expected 0x00, found 0x05",
    );
}

#[test]
fn the_order_of_overlapping_segments() {
    let module = |first, second| {
        format!(
            r#"(module (memory 1) (data (i32.const 0) "{first}") (data (i32.const 0) "{second}"))"#
        )
    };
    let difference = "memory 0, address 0x0: expected 0x62, found 0x61";
    differs(&module("b", "a"), &[], &module("a", "b"), difference);
}

#[test]
fn the_same_bytes_from_another_module() {
    let module = |rest| format!(r#"(module (memory 1) (data (i32.const 7) "x") {rest})"#);
    let (_, said) = verify(&module(""), &[], &module("(func)"));
    assert!(said.fine().contains(DIFFERS));
}

#[test]
fn memories() {
    let difference = "expected 2 memories, found 1";
    differs(
        "(module (memory 1))",
        &[],
        "(module (memory 1) (memory 1))",
        difference,
    );
    let difference = "memory 0 has another type";
    differs(
        "(module (memory 1))",
        &[],
        "(module (memory 2))",
        difference,
    );
    differs(
        "(module (memory 1))",
        &[],
        r#"(module (import "a" "b" (memory 1)))"#,
        difference,
    );
}

#[test]
fn whether_elements_may_trap() {
    let module =
        |at| format!("(module (memory 1) (table 1 funcref) (func) (elem (i32.const {at}) 0))");
    let difference = "whether element segments may trap: expected true";
    differs(&module(0), &[], &module(1), difference);
}

#[test]
fn the_replay_list() {
    let module = |address, data| {
        format!(
            r#"(module (import "e" "b" (global i32)) (memory 1)
                (data (i32.add (global.get 0) (i32.const {address})) "{data}")
                (data (i32.const 0) "behind"))"#
        )
    };
    let difference = "replay list: segment 0 is not as in the module";
    differs(&module(1, "x"), &[], &module(2, "x"), difference);
    differs(&module(1, "x"), &[], &module(1, "y"), difference);
    let difference = "replay list: segment 1 is not as in the module";
    differs(
        &module(1, "x"),
        &[],
        &module(1, "x").replace("behind", "other"),
        difference,
    );
    let fewer = r#"(module (import "e" "b" (global i32)) (memory 1)
                (data (i32.add (global.get 0) (i32.const 1)) "x"))"#;
    differs(&module(1, "x"), &[], fewer, difference);
}

#[test]
fn what_must_be_replayed() {
    let module = r#"(module (import "e" "b" (global i32)) (memory 1) (data (global.get 0) "x"))"#;
    let difference = "segment 0 is not replayed although its address is not known";
    differs(module, &["--global", "e.b=0"], module, difference);

    let module = r#"(module (import "e" "m" (memory 1)) (data (i32.const 0) "x"))"#;
    let difference = "segment 0 is not replayed although its memory is imported";
    differs(module, &["--assume-zeroed-imports"], module, difference);

    let short = r#"(module (memory 1) (data (i32.const 0xffff) "x") (data (i32.const 0) "x"))"#;
    let long = short.replace(r#""x") (data"#, r#""xy") (data"#);
    let difference = "segment 0 is not replayed although it is out of bounds";
    differs(short, &[], &long, difference);

    let module = |second| {
        format!(
            r#"(module (import "e" "m" (memory 1)) (memory 1)
                (data (memory 0) (i32.const {second}) "x") (data (memory 1) (i32.const 0) "x"))"#
        )
    };
    // As it stands in the artifact, segment 0 does not match either: it is found first.
    let difference = "replay list: segment 0 is not as in the module";
    differs(&module(0), &[], &module(0x10000), difference);
}

/// An image with a segment behind a barrier, which no build writes: both segments were
/// certain when it was built, and the first is then put in the replay list by hand.
#[test]
fn what_is_behind_a_barrier() {
    let scratch = Scratch::new();
    let module = |address| {
        scratch.module(
            "module.wasm",
            &format!(
                r#"(module (import "e" "m" (memory 1)) (memory 1)
                    (data (memory 0) (i32.const {address}) "x")
                    (data (memory 1) (i32.const 0) "y"))"#
            ),
        )
    };
    let artifact = scratch.path("artifact");
    // 63 in the header is the constant of segment 0; 65,472 there would trap.
    tool::run(["build", &module(0xffff), "-o", &artifact]).fine();
    let bytes = fs::read(&artifact).expect("read");
    let barrier = module(0x1_0000);
    let altered = with_header(bytes, |header| {
        replace(header, &zigzag(0xffff), &zigzag(0x1_0000))
    });
    fs::write(&artifact, altered).expect("written");
    tool::run(["verify", &barrier, &artifact]).complains(
        1,
        &format!(
            "difference: {artifact}: segment 1 is not replayed although segment 0 before it may \
             trap; {DIFFERS}"
        ),
    );
}

/// An `i32` in the header: zigzag, then LEB128.
fn zigzag(value: u32) -> Vec<u8> {
    let mut rest = value << 1;
    let mut bytes = Vec::new();
    while 0x80 <= rest {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
    bytes
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let places: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at..].starts_with(from))
        .collect();
    assert_eq!((places.len(), from.len()), (1, to.len()));
    bytes[places[0]..places[0] + to.len()].copy_from_slice(to);
}

/// The artifact with its header altered and sealed again.
fn with_header(mut artifact: Vec<u8>, alter: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let len = u32::from_le_bytes(artifact[12..16].try_into().expect("four bytes"));
    let header = 24..24 + usize::try_from(len).expect("small");
    alter(&mut artifact[header.clone()]);
    let checksum = crc32fast::hash(&artifact[header]);
    artifact[16..20].copy_from_slice(&checksum.to_le_bytes());
    artifact
}

/// Bytes past the end of a memory whose size is no multiple of a page.
#[test]
fn a_byte_behind_the_end() {
    let scratch = Scratch::new();
    let text = r#"(module (memory 5000 (pagesize 1)) (data (i32.const 4998) "xy"))"#;
    let module = scratch.module("module.wasm", text);
    let artifact = scratch.path("artifact");
    tool::run(["build", &module, "-o", &artifact]).fine();
    tool::run(["verify", &module, &artifact]).fine();
    let mut bytes = fs::read(&artifact).expect("read");
    let page = bytes.len() - 4096;
    bytes[page + (5000 - 4096)] = 1;
    let checksum = crc32fast::hash(&bytes[page..]);
    bytes[20..24].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&artifact, bytes).expect("written");
    let line = format!(
        "difference: {artifact}: memory 0, address 0x1388: expected 0x00, found 0x01; {MATCHES}"
    );
    tool::run(["verify", &module, &artifact]).complains(1, &line);
}
