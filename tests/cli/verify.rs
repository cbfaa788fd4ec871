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
    let (line, hint) = said.stderr.split_once('\n').expect("a line");
    assert_eq!(
        line,
        format!("difference: {artifact}: {difference}; {hash}")
    );
    assert_eq!((said.code, said.stdout.as_str()), (1, ""));
    // Of the right module it may be that a promise was left out.
    let is_promise = difference.contains("is not replayed although") && hash == MATCHES;
    assert_eq!(
        hint.starts_with("hint: repeat --global"),
        is_promise,
        "{hint}"
    );
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
    // Missing at the end, and one too many.
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
    let difference = "right byte for byte, but of another module";
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

/// The artifact says what it assumes: nothing is repeated, and what is said all the same
/// is compared.
#[test]
fn the_artifact_says_what_it_assumes() {
    let scratch = Scratch::new();
    let artifact = scratch.path("artifact");
    let side = r#"(module (import "env" "memory" (memory 1)) (import "env" "base" (global i32))
        (data (global.get 0) "x"))"#;
    let side = scratch.module("side.wasm", side);
    let told = ["--global", "env.base=0x20000", "--memory", "env.memory=1M"];
    let told = told.into_iter().chain(["--assume-zeroed-imports"]);
    let build = ["build", &*side, "-o", &*artifact].into_iter();
    let said = tool::run(build.chain(told.clone())).fine();
    assert!(said.contains("static, 1 segment in 1 run"), "{said}");
    let said = tool::run(["verify", &side, &artifact]).fine();
    assert_eq!(said.matches("\n  assumes: ").count(), 3, "{said}");
    tool::run(["verify", &*side, &*artifact].into_iter().chain(told)).fine();
    tool::run(["verify", &side, &artifact, "--memory", "env.memory=2M"]).fine();

    for (option, value, host) in [
        ("--global", "env.base=1024", "the host has 1024"),
        ("--memory", "env.memory=128K", "the host has 131072 bytes"),
    ] {
        let said = tool::run(["verify", &side, &artifact, option, value]);
        assert!(said.stderr.contains("it assumes that "), "{}", said.stderr);
        assert!(said.stderr.contains(host), "{}", said.stderr);
        assert_eq!(said.code, 1);
    }
    let other = r#"(module (import "env" "memory" (memory 1)) (import "env" "other" (global i32))
        (data (global.get 0) "x"))"#;
    let other = scratch.module("other.wasm", other);
    let said = tool::run(["verify", &other, &artifact]);
    assert!(
        said.stderr.contains("it assumes what the module has not: "),
        "{}",
        said.stderr
    );
    assert_eq!(said.code, 1);
}

#[test]
fn what_must_be_replayed() {
    let known = r#"(module (global i32 (i32.const 0)) (memory 1) (data (global.get 0) "x"))"#;
    let unknown = known.replace(
        "(global i32 (i32.const 0))",
        r#"(import "e" "b" (global i32))"#,
    );
    let difference = "segment 0 is not replayed although its address is not known";
    differs(known, &[], &unknown, difference);

    // Without a segment, nothing is assumed of the memory.
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
    tool::run(["build", &module(0xffff), "-o", &artifact]).fine();
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
    tool::run(["verify", &barrier, &artifact]).complains(
        1,
        &format!(
            "difference: {artifact}: segment 1 is not replayed although segment 0 before it may \
             trap; {DIFFERS}"
        ),
    );
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

/// The same for what makes the header shorter; the payload stays where it is, after zeros.
fn with_header_of_any_length(mut artifact: Vec<u8>, alter: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
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

/// Bytes past the end of a memory whose size is no multiple of a page.
#[test]
fn a_byte_behind_the_end() {
    let scratch = Scratch::new();
    let text = r#"(module (memory 5000 (pagesize 1)) (data (i32.const 4998) "xy"))"#;
    let module = scratch.module("module.wasm", text);
    let artifact = scratch.path("artifact");
    tool::run(["build", &module, "-o", &artifact]).fine();
    tool::run(["verify", &module, &artifact]).fine();
    let bytes = with_page(fs::read(&artifact).expect("read"), |page| {
        page[5000 - 4096] = 1
    });
    fs::write(&artifact, bytes).expect("written");
    let cause = "artifact damaged: a byte past the end of memory 0, at address 0x1388";
    tool::run(["verify", &module, &artifact]).complains(2, &format!("error: {artifact}: {cause}"));
}

/// The artifact with the bytes of its only run altered and sealed again: the run's own
/// checksum stands in the header.
fn with_page(mut artifact: Vec<u8>, alter: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let page = artifact.len() - 4096;
    let before = crc32fast::hash(&artifact[page..]).to_le_bytes();
    alter(&mut artifact[page..]);
    let after = crc32fast::hash(&artifact[page..]).to_le_bytes();
    with_header(artifact, |header| replace(header, &before, &after))
}

/// Bytes that the replay would write again: right in the end, and yet there too early
/// where the segment before them traps.
#[test]
fn bytes_of_a_replayed_segment_in_the_image() {
    let scratch = Scratch::new();
    let module = scratch.module(
        "module.wasm",
        r#"(module (import "e" "b" (global i32)) (memory 1) (data (i32.const 0) "a")
            (data (global.get 0) "z") (data (i32.const 16) "b"))"#,
    );
    let artifact = scratch.path("artifact");
    tool::run(["build", &module, "-o", &artifact]).fine();
    tool::run(["verify", &module, &artifact]).fine();
    let early = with_page(fs::read(&artifact).expect("read"), |page| page[16] = b'b');
    fs::write(&artifact, early).expect("written");
    let line = "image of memory 0, address 0x10: expected 0x00, found 0x62";
    let line = format!("difference: {artifact}: {line}; {MATCHES}");
    tool::run(["verify", &module, &artifact]).complains(1, &line);
}

/// A run of zeros is no nothing: mapped over a memory of the host, it takes the host's
/// bytes away.
#[test]
fn a_run_of_zeros_over_an_imported_memory() {
    let scratch = Scratch::new();
    let text = r#"(module (import "e" "m" (memory 1)) (data (i32.const 0) "x"))"#;
    let module = scratch.module("module.wasm", text);
    let bare = scratch.module("bare.wasm", r#"(module (import "e" "m" (memory 1)))"#);
    let artifact = scratch.path("artifact");
    let promise = "--assume-zeroed-imports";
    tool::run(["build", &module, "-o", &artifact, promise]).fine();
    let zeros = with_page(fs::read(&artifact).expect("read"), |page| page.fill(0));
    fs::write(&artifact, zeros).expect("written");
    // Zeros where zeros are promised change nothing.
    tool::run(["verify", &bare, &artifact]).complains(
        1,
        &format!("difference: {artifact}: right byte for byte, but of another module; {DIFFERS}"),
    );
    let zeros = fs::read(&artifact).expect("read");
    let without = with_header_of_any_length(zeros, |header| {
        // One assumption: kind, memory, and the import's two names with their lengths.
        let assumption = [1, 1, 0, 1, b'e', 1, b'm'];
        let at = header
            .windows(assumption.len())
            .position(|it| it == assumption);
        let at = at.expect("the assumption");
        header.splice(at..at + assumption.len(), [0]);
    });
    fs::write(&artifact, without).expect("written");
    // Refused by its reader already: the verifier need not be asked.
    let line = format!("error: {artifact}: artifact damaged: invalid assumptions");
    tool::run(["verify", &bare, &artifact]).complains(2, &line);
}

/// Built from a start function that does not fill what an active segment wrote, or does
/// not find its flag set by one; verified against one that does.
#[test]
fn what_the_start_function_does_besides() {
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
    for how in ["emptied", "finds-done-as-thread"] {
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
            tool::run(args).fine();
            tool::run(["verify", module, &artifact, promise]).fine();
        };
        let data = r#"(data (i32.const 0x10020) "fill me")"#;
        build(&with("kept.wasm", data, "0x12000"));
        let filled = with("filled.wasm", data, "0x10010");
        let said = tool::run(["verify", &filled, &artifact, promise]);
        assert_eq!(said.code, 1, "{how}: {}", said.stderr);
        let is_done = how != "emptied";
        // With the flag at 2 nobody fills; at 0 the function does, as in the module.
        let line = match is_done {
            true => "image of memory 0, address 0x10020: expected 0x00, found 0x66",
            false => "right byte for byte, but of another module",
        };
        assert!(said.stderr.contains(line), "{how}: {}", said.stderr);
    }

    let args = ["build", "threads.wasm", "-o", &artifact, promise];
    tool::run(
        args.into_iter()
            .chain(["--start-function", "finds-done-as-thread"]),
    )
    .fine();
    let set = with("set.wasm", r#"(data (i32.const 0x30c) "\02")"#, "0x10010");
    let said = tool::run(["verify", &set, &artifact, promise]);
    let line = "its flag at 0x30c is 2 and not 0 when it runs";
    assert!(said.stderr.contains(line), "{}", said.stderr);
    assert_eq!(said.code, 1);
}

/// A stripped module says nothing of the bytes any more, and is no other module either.
/// What the host has is compared as with the source module.
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
    tool::run(build.into_iter().chain(["--global", "env.base=1024"])).fine();
    let verified = tool::run(["verify", &stripped, &artifact]).fine();
    assert!(verified.contains("assumes: "), "{verified}");
    tool::run(["verify", &stripped, &artifact, "--global", "env.base=1024"]).fine();
    let other = ["verify", &stripped, &artifact, "--global", "env.base=2048"];
    let line = r#"it assumes that global 0 ("env" "base") is 1024; the host has 2048"#;
    tool::run(other).complains(1, &format!("difference: {artifact}: {line}"));
}

#[test]
fn a_stripped_module_is_known_by_its_hash() {
    let scratch = Scratch::new();
    let module = scratch.module(
        "module.wasm",
        r#"(module (memory 1) (data (i32.const 8) "a"))"#,
    );
    let (artifact, stripped) = (scratch.path("artifact"), scratch.path("stripped"));
    tool::run(["build", &module, "-o", &artifact, "--strip", &stripped]).fine();
    let verified = tool::run(["verify", &stripped, &artifact]).fine();
    assert!(verified.starts_with(&format!("{artifact}: belongs to {stripped}\n")));
    assert!(verified.contains("no byte was compared"), "{verified}");
    let verified = tool::run(["verify", &module, &artifact]).fine();
    assert!(verified.contains("right for"), "{verified}");

    // One byte more is another module.
    let mut bytes = fs::read(&stripped).expect("read");
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    fs::write(&stripped, bytes).expect("written");
    let line = "image of memory 0, address 0x8: expected 0x00, found 0x61";
    let source = "the source hash differs: it was built from another module";
    tool::run(["verify", &stripped, &artifact])
        .complains(1, &format!("difference: {artifact}: {line}; {source}"));
}
