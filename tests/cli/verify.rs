//! `verify` finds each kind of difference, and reports the first place.

use std::fs;

use crate::tool::{self, RunOutput, Scratch};

pub(crate) const MATCHES: &str = "the source hash matches";
const DIFFERS: &str = "the source hash differs: the artifact is from another module";

/// Builds from one module and verifies against another.
fn verify(built: &str, flags: &[&str], verified: &str) -> (String, RunOutput) {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let built = scratch.module("built.wasm", built);
    let verified = scratch.module("verified.wasm", verified);
    let args = ["build", &*built, "-o", &artifact].into_iter();
    tool::run(args.chain(flags.iter().copied())).success();
    let result = tool::run(["verify", &verified, &artifact]);
    (artifact, result)
}

#[track_caller]
fn differs(built: &str, flags: &[&str], verified: &str, difference: &str) {
    let hash = if built == verified { MATCHES } else { DIFFERS };
    let (artifact, result) = verify(built, flags, verified);
    let (line, hint) = result.stderr.split_once('\n').expect("a line");
    assert_eq!(
        line,
        format!("difference: {artifact}: {difference}; {hash}")
    );
    assert_eq!((result.code, result.stdout.as_str()), (1, ""));
    assert_eq!(hint, "");
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
        "image of memory 1, address 0x2000: expected 0x03, found 0xff",
    );
    // One byte missing at the end, and one too many.
    differs(
        &two_memories("\\01\\02\\03"),
        &[],
        &expected,
        "image of memory 1, address 0x2001: expected 0x04, found 0x00",
    );
    differs(
        &two_memories("\\01\\02\\03\\04\\05"),
        &[],
        &expected,
        "image of memory 1, address 0x2002: expected 0x00, found 0x05",
    );
}

#[test]
fn the_order_of_overlapping_segments() {
    let module = |first, second| {
        format!(
            r#"(module (memory 1) (data (i32.const 0) "{first}") (data (i32.const 0) "{second}"))"#
        )
    };
    let difference = "image of memory 0, address 0x0: expected 0x62, found 0x61";
    differs(&module("b", "a"), &[], &module("a", "b"), difference);
}

#[test]
fn the_same_bytes_from_another_module() {
    let module = |rest| format!(r#"(module (memory 1) (data (i32.const 7) "x") {rest})"#);
    let difference = "every byte matches, but the module differs";
    differs(&module(""), &[], &module("(func)"), difference);
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
    let difference = "memory 0 has a different type";
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
    let difference = "elements may trap: expected true, found false";
    differs(&module(0), &[], &module(1), difference);
}

#[test]
fn the_replay_list() {
    let module = |address, data| {
        format!(
            r#"(module (import "e" "b" (global i32)) (memory 1)
                (data (i32.add (global.get 0) (i32.const {address})) "{data}")
                (data (i32.const 0) "later"))"#
        )
    };
    let difference = "replay list: segment 0 differs from the module";
    differs(&module(1, "x"), &[], &module(2, "x"), difference);
    differs(&module(1, "x"), &[], &module(1, "y"), difference);
    let difference = "replay list: segment 1 differs from the module";
    differs(
        &module(1, "x"),
        &[],
        &module(1, "x").replace("later", "other"),
        difference,
    );
    let fewer = r#"(module (import "e" "b" (global i32)) (memory 1)
                (data (i32.add (global.get 0) (i32.const 1)) "x"))"#;
    differs(&module(1, "x"), &[], fewer, difference);
}

/// The artifact records its assumptions: no option need be repeated, and those that are given
/// are compared.
#[test]
fn the_artifact_records_its_assumptions() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let side = r#"(module (import "env" "memory" (memory 1)) (import "env" "base" (global i32))
        (data (global.get 0) "x"))"#;
    let side = scratch.module("side.wasm", side);
    let options = ["--global", "env.base=0x20000", "--memory", "env.memory=1M"];
    let options = options.into_iter().chain(["--assume-zeroed-imports"]);
    let build = ["build", &*side, "-o", &*artifact].into_iter();
    let result = tool::run(build.chain(options.clone())).success();
    assert!(result.contains("static, 1 segment in 1 run"), "{result}");
    let result = tool::run(["verify", &side, &artifact]).success();
    assert_eq!(result.matches("\n  assumes: ").count(), 3, "{result}");
    tool::run(["verify", &*side, &*artifact].into_iter().chain(options)).success();
    tool::run(["verify", &side, &artifact, "--memory", "env.memory=2M"]).success();

    for (option, value, host) in [
        ("--global", "env.base=1024", "the host has 1024"),
        ("--memory", "env.memory=128K", "the host has 131072 bytes"),
    ] {
        let result = tool::run(["verify", &side, &artifact, option, value]);
        assert!(
            result.stderr.contains("it assumes that "),
            "{}",
            result.stderr
        );
        assert!(result.stderr.contains(host), "{}", result.stderr);
        assert_eq!(result.code, 1);
    }
    let other = r#"(module (import "env" "memory" (memory 1)) (import "env" "other" (global i32))
        (data (global.get 0) "x"))"#;
    let other = scratch.module("other.wasm", other);
    let result = tool::run(["verify", &other, &artifact]);
    assert!(
        result
            .stderr
            .contains("it assumes what the module does not have: "),
        "{}",
        result.stderr
    );
    assert_eq!(result.code, 1);
}

#[test]
fn segments_that_must_be_replayed() {
    let known = r#"(module (global i32 (i32.const 0)) (memory 1) (data (global.get 0) "x"))"#;
    let unknown = known.replace(
        "(global i32 (i32.const 0))",
        r#"(import "e" "b" (global i32))"#,
    );
    let difference = "segment 0 is not replayed although its address is not known";
    differs(known, &[], &unknown, difference);

    // Without a segment, nothing is assumed about the memory.
    let bare = r#"(module (import "e" "m" (memory 1)))"#;
    let module = r#"(module (import "e" "m" (memory 1)) (data (i32.const 0) "x"))"#;
    let difference = "segment 0 is not replayed although its memory is imported";
    differs(bare, &["--assume-zeroed-imports"], module, difference);

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
    // Segment 0 of the artifact does not match either, and is found first.
    let difference = "replay list: segment 0 differs from the module";
    differs(&module(0), &[], &module(0x10000), difference);
}

/// An image with a segment after a barrier, which `build` never writes: both segments have
/// known addresses when it is built, and then the address of the first is changed by hand.
#[test]
fn a_baked_segment_after_a_barrier() {
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
    tool::run(["build", &module(0xffff), "-o", &artifact]).success();
    let bytes = fs::read(&artifact).expect("read");
    let barrier = module(0x1_0000);
    let altered = with_header(bytes, |header| {
        replace(
            header,
            &0xffff_u32.to_le_bytes(),
            &0x1_0000_u32.to_le_bytes(),
        )
    });
    fs::write(&artifact, altered).expect("written");
    tool::run(["verify", &barrier, &artifact]).fails_with(
        1,
        &format!(
            "difference: {artifact}: segment 1 is not replayed although it is after barrier \
             segment 0; {DIFFERS}"
        ),
    );
}

pub(crate) fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let places: Vec<usize> = (0..bytes.len())
        .filter(|&at| bytes[at..].starts_with(from))
        .collect();
    assert_eq!((places.len(), from.len()), (1, to.len()));
    bytes[places[0]..places[0] + to.len()].copy_from_slice(to);
}

/// Alters the header of an artifact and corrects its checksum.
pub(crate) fn with_header(mut artifact: Vec<u8>, alter: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let len = u32::from_le_bytes(artifact[12..16].try_into().expect("four bytes"));
    let header = 24..24 + usize::try_from(len).expect("small");
    alter(&mut artifact[header.clone()]);
    let checksum = crc32fast::hash(&artifact[header]);
    artifact[16..20].copy_from_slice(&checksum.to_le_bytes());
    artifact
}

/// Does the same for a change that shortens the header; zeros keep the payload in place.
pub(crate) fn with_header_of_any_length(
    mut artifact: Vec<u8>,
    alter: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let len = u32::from_le_bytes(artifact[12..16].try_into().expect("four bytes"));
    let end = 24 + usize::try_from(len).expect("small");
    let mut header = artifact[24..end].to_vec();
    alter(&mut header);
    let len = u32::try_from(header.len()).expect("small").to_le_bytes();
    artifact[12..16].copy_from_slice(&len);
    artifact[16..20].copy_from_slice(&crc32fast::hash(&header).to_le_bytes());
    header.resize(end - 24, 0);
    artifact[24..end].copy_from_slice(&header);
    artifact
}

/// A byte past the end of a memory whose size is not a multiple of a page.
#[test]
fn a_byte_past_the_end() {
    let scratch = Scratch::new();
    let text = r#"(module (memory 5000 (pagesize 1)) (data (i32.const 4998) "xy"))"#;
    let module = scratch.module("module.wasm", text);
    let artifact = scratch.path("artifact");
    tool::run(["build", &module, "-o", &artifact]).success();
    tool::run(["verify", &module, &artifact]).success();
    let bytes = with_page(fs::read(&artifact).expect("read"), |page| {
        page[5000 - 4096] = 1
    });
    fs::write(&artifact, bytes).expect("written");
    let cause = "artifact damaged: non-zero byte past the end of memory 0, at address 0x1388";
    tool::run(["verify", &module, &artifact]).fails_with(2, &format!("error: {artifact}: {cause}"));
}

/// Alters the bytes of an artifact's only run and corrects the checksums: the run's own is in
/// the header.
fn with_page(mut artifact: Vec<u8>, alter: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let page = artifact.len() - 4096;
    let before = crc32fast::hash(&artifact[page..]).to_le_bytes();
    alter(&mut artifact[page..]);
    let after = crc32fast::hash(&artifact[page..]).to_le_bytes();
    with_header(artifact, |header| replace(header, &before, &after))
}

/// Bytes that the replay would write again: correct after the replay, but visible too early if
/// the segment before them traps.
#[test]
fn bytes_of_a_replayed_segment_in_the_image() {
    let scratch = Scratch::new();
    let module = scratch.module(
        "module.wasm",
        r#"(module (import "e" "b" (global i32)) (memory 1) (data (i32.const 0) "a")
            (data (global.get 0) "z") (data (i32.const 16) "b"))"#,
    );
    let artifact = scratch.path("artifact");
    tool::run(["build", &module, "-o", &artifact]).success();
    tool::run(["verify", &module, &artifact]).success();
    let early = with_page(fs::read(&artifact).expect("read"), |page| page[16] = b'b');
    fs::write(&artifact, early).expect("written");
    let line = "image of memory 0, address 0x10: expected 0x00, found 0x62";
    let line = format!("difference: {artifact}: {line}; {MATCHES}");
    tool::run(["verify", &module, &artifact]).fails_with(1, &line);
}

/// A run of zeros has an effect: mapped over a memory of the host, it overwrites the host's
/// bytes.
#[test]
fn a_run_of_zeros_over_an_imported_memory() {
    let scratch = Scratch::new();
    let text = r#"(module (import "e" "m" (memory 1)) (data (i32.const 0) "x"))"#;
    let module = scratch.module("module.wasm", text);
    let bare = scratch.module("bare.wasm", r#"(module (import "e" "m" (memory 1)))"#);
    let artifact = scratch.path("artifact");
    let promise = "--assume-zeroed-imports";
    tool::run(["build", &module, "-o", &artifact, promise]).success();
    let zeros = with_page(fs::read(&artifact).expect("read"), |page| page.fill(0));
    fs::write(&artifact, zeros).expect("written");
    // Zeros over a memory that is promised to be zeroed change nothing.
    tool::run(["verify", &bare, &artifact]).fails_with(
        1,
        &format!("difference: {artifact}: every byte matches, but the module differs; {DIFFERS}"),
    );
    let zeros = fs::read(&artifact).expect("read");
    let without = with_header_of_any_length(zeros, |header| {
        // The count, then one assumption: kind, memory, the import's names with their lengths.
        let assumption = [1, 1, 0, 1, b'e', 1, b'm'];
        let at = header
            .windows(assumption.len())
            .position(|it| it == assumption);
        let at = at.expect("the assumption");
        header.splice(at..at + assumption.len(), [0]);
    });
    fs::write(&artifact, without).expect("written");
    // The decoder already rejects it, before it is compared.
    let line = format!("error: {artifact}: artifact damaged: invalid assumptions");
    tool::run(["verify", &bare, &artifact]).fails_with(2, &line);
}

/// The artifact is built from a start function that does not zero the data of an active
/// segment, or whose flag no active segment sets; the verified module does.
#[test]
fn other_effects_of_the_start_function() {
    let scratch = Scratch::new();
    let threads = fs::read_to_string(tool::modules().join("threads.wat")).expect("ours");
    let with = |name: &str, data: &str, fill: &str| {
        let text = threads.replace("(func $init_memory", &format!("{data} (func $init_memory"));
        scratch.module(
            name,
            &text.replace("i32.const 0x10010", &format!("i32.const {fill}")),
        )
    };
    let artifact = scratch.path("artifact");
    let promise = "--assume-zeroed-imports";
    for how in ["writes-stripped", "already-initialized-tls"] {
        let build = |module: &str| {
            let args = [
                "build",
                module,
                "-o",
                &artifact,
                promise,
                "--start-function",
                how,
            ];
            tool::run(args).success();
            tool::run(["verify", module, &artifact, promise]).success();
        };
        let data = r#"(data (i32.const 0x10020) "fill me")"#;
        build(&with("kept.wasm", data, "0x12000"));
        let filled = with("filled.wasm", data, "0x10010");
        let result = tool::run(["verify", &filled, &artifact, promise]);
        assert_eq!(result.code, 1, "{how}: {}", result.stderr);
        let is_done = how != "writes-stripped";
        // With the flag at 2, nothing is filled; at 0, the function fills, as in the module.
        let line = match is_done {
            true => "image of memory 0, address 0x10020: expected 0x00, found 0x66",
            false => "every byte matches, but the module differs",
        };
        assert!(result.stderr.contains(line), "{how}: {}", result.stderr);
    }

    let args = ["build", "threads.wasm", "-o", &artifact, promise];
    let how = |how| ["--start-function", how];
    tool::run(args.into_iter().chain(how("writes-stripped"))).success();
    // Which of the two comes last is not known.
    let both = with("both.wasm", "", "0x10008");
    let result = tool::run(["verify", &both, &artifact, promise]);
    let line = "it both writes data to address 0x10008 and fills it with zeros";
    assert!(result.stderr.contains(line), "{}", result.stderr);
    assert_eq!(result.code, 1);

    tool::run(args.into_iter().chain(how("already-initialized-tls"))).success();
    let set = with("set.wasm", r#"(data (i32.const 0x30c) "\02")"#, "0x10010");
    let result = tool::run(["verify", &set, &artifact, promise]);
    let line = "its flag at 0x30c is 2 when it runs, expected 0";
    assert!(result.stderr.contains(line), "{}", result.stderr);
    assert_eq!(result.code, 1);
}

/// The host's values are compared with a stripped module as with the source module.
#[test]
fn a_stripped_module_and_the_host_are_compared() {
    let scratch = Scratch::new();
    let module = scratch.module(
        "module.wasm",
        r#"(module (import "env" "base" (global $base i32)) (memory 1)
            (data (global.get $base) "a"))"#,
    );
    let (artifact, stripped) = (scratch.path("artifact"), scratch.path("stripped"));
    let build = ["build", &module, "-o", &artifact, "--strip", &stripped];
    tool::run(build.into_iter().chain(["--global", "env.base=1024"])).success();
    let verified = tool::run(["verify", &stripped, &artifact]).success();
    assert!(verified.contains("assumes: "), "{verified}");
    tool::run(["verify", &stripped, &artifact, "--global", "env.base=1024"]).success();
    let other = ["verify", &stripped, &artifact, "--global", "env.base=2048"];
    let line = r#"it assumes that global 0 ("env" "base") is 1024; the host has 2048"#;
    tool::run(other).fails_with(1, &format!("difference: {artifact}: {line}"));
}

/// A stripped module no longer has the bytes to compare, but is not a different module.
#[test]
fn a_stripped_module_is_recognised_by_its_hash() {
    let scratch = Scratch::new();
    let module = scratch.module(
        "module.wasm",
        r#"(module (memory 1) (data (i32.const 8) "a"))"#,
    );
    let (artifact, stripped) = (scratch.path("artifact"), scratch.path("stripped"));
    tool::run(["build", &module, "-o", &artifact, "--strip", &stripped]).success();
    let verified = tool::run(["verify", &stripped, &artifact]).success();
    assert!(verified.starts_with(&format!("{artifact}: belongs to {stripped}\n")));
    assert!(verified.contains("no bytes were compared"), "{verified}");
    let verified = tool::run(["verify", &module, &artifact]).success();
    assert!(verified.contains("correct for"), "{verified}");

    // A longer module is a different module.
    let mut bytes = fs::read(&stripped).expect("read");
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    fs::write(&stripped, bytes).expect("written");
    let line = "image of memory 0, address 0x8: expected 0x00, found 0x61";
    let source = "the source hash differs: the artifact is from another module";
    tool::run(["verify", &stripped, &artifact])
        .fails_with(1, &format!("difference: {artifact}: {line}; {source}"));
}

/// A host takes the module with the hash of the stripped one for the module: a forged hash would
/// start any module from this image.
#[test]
fn the_stripped_module_is_this_one_stripped() {
    let contents = r#"(import "env" "base" (global $base i32)) (memory 1) (memory 1)
        (data (global.get $base) "aa") (data (memory 1) (i32.const 8) "b")"#;
    let options = ["--global", "env.base=1024"];
    let scratch = Scratch::new();
    let module = scratch.module("module.wasm", &format!("(module {contents})"));
    let component = format!("(component (core module {contents}) (core module {contents}))");
    let component = scratch.module("component.wasm", &component);
    for (file, more, verify, is_found) in [
        (&module, &[][..], &[][..], true),
        (&module, &["--policy", "smallest"], &[], true),
        (&module, &["--externalize"], &[], true),
        (
            &module,
            &["--externalize=host"],
            &["--externalize=host"],
            true,
        ),
        (&module, &["--externalize=host"], &[], false),
        (&component, &[], &[], true),
    ] {
        let (artifact, stripped) = (scratch.path("artifact"), scratch.path("stripped"));
        let build = ["build", file, "-o", &artifact, "--strip", &stripped];
        tool::run(build.iter().chain(&options).chain(more)).success();
        // Regression: a module whose memories are imports was refused.
        let verified = tool::run(["verify", &stripped, &artifact]).success();
        let assumed = match more {
            ["--externalize"] => r#" ("meminit" "memory1") is initially zero"#,
            ["--externalize=host"] => r#" ("host" "memory1") is initially zero"#,
            _ => r#" ("env" "base") is 1024"#,
        };
        assert!(verified.contains(assumed), "{verified}");
        let check = || tool::run(["verify", file, &artifact].iter().chain(verify));
        let finding = format!(
            "difference: {artifact}: the artifact names a stripped module that is not this one \
             without the segments in the image (if build was given --externalize=MODULE, pass that)"
        );
        match is_found {
            true => drop(check().success()),
            false => check().fails_with(1, &finding),
        }
    }
}
