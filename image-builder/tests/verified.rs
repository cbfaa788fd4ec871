//! What `verify` reports: counts of what it compared, and findings as text.

use wasm_meminit_analysis::{DataIndex, MemoryIndex, Module, Plan, Policy, StartFunction};
use wasm_meminit_image_builder::verify::{
    ByteDifference, Finding, HostFact, Moment, MustReplay, StartDifference, verify,
};
use wasm_meminit_image_builder::{Artifact, ModuleImage, SourceHash};

const HASH: SourceHash = SourceHash([7; 32]);

fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|err| panic!("{err}\n{text}"))
}

fn built(module: &Module<'_>, policy: &Policy) -> Vec<u8> {
    let plan = Plan::new(module, policy);
    let image = ModuleImage::build(module, &plan).expect("small");
    image.encode().expect("small")
}

/// Nothing is written after a segment that always traps; a host decides about others.
#[test]
fn segments_after_a_trap_are_not_compared() {
    let verified = |memory: &str| {
        let wasm = wasm(&format!(
            r#"(module {memory} (data (i32.const 0) "first")
                (data (i32.const 65535) "xy") (data (i32.const 8) "last"))"#
        ));
        let module = Module::parse(&wasm).expect("valid");
        let artifact = built(&module, &Policy::default());
        let artifact = Artifact::decode(&artifact).expect("just encoded");
        verify(module, HASH, &artifact).expect("the same")
    };
    let traps = verified("(memory 1)");
    assert_eq!((traps.n_replayed, traps.n_unknown), (3, 0));
    assert_eq!((traps.data_bytes, traps.n_pages), (5, 1));
    // An imported memory may be larger than is known.
    let imported = verified(r#"(import "env" "memory" (memory 1))"#);
    assert_eq!((imported.n_replayed, imported.n_unknown), (3, 1));
    assert_eq!((imported.data_bytes, imported.n_pages), (9, 1));
}

/// A builder without the module's bytes stores the value of a global that the module defines.
#[test]
fn an_address_may_be_written_in_another_way() {
    let wasm =
        wasm(r#"(module (memory 1) (global i32 (i32.const 65535)) (data (global.get 0) "traps"))"#);
    let module = Module::parse(&wasm).expect("valid");
    let artifact = built(&module, &Policy::default());
    let artifact = Artifact::decode(&artifact).expect("just encoded");
    let verified = verify(module, HASH, &artifact).expect("the same");
    assert_eq!((verified.n_replayed, verified.n_unknown), (1, 0));
}

/// The host may have written to an imported memory.
#[test]
fn a_segment_of_an_imported_memory_is_replayed() {
    let without = wasm(r#"(module (import "env" "memory" (memory 1)))"#);
    let with = wasm(r#"(module (import "env" "memory" (memory 1)) (data (i32.const 0) "x"))"#);
    let [without, with] = [&without, &with].map(|it| Module::parse(it).expect("valid"));
    let artifact = built(&without, &Policy::default());
    let artifact = Artifact::decode(&artifact).expect("just encoded");
    let because = MustReplay::ImportedMemory;
    let segment = DataIndex::from_u32(0);
    let found = verify(with, HASH, &artifact).map(drop);
    assert_eq!(found, Err(Finding::MustReplay { segment, because }));
}

/// The image of a start function that fills other addresses with zeros is the same, unless it
/// fills what it writes: then the order would matter.
#[test]
fn a_start_function_that_fills_what_it_writes_is_a_finding() {
    let text = include_str!("../../tests/modules/threads.wat");
    let text = text.lines().filter(|line| !line.starts_with(";;"));
    let text = text.flat_map(str::split_whitespace).collect::<Vec<_>>();
    let text = text.join(" ");
    let fill = "i32.const 0x10010 i32.const 0 i32.const 0x1000 memory.fill";
    assert_eq!(text.matches(fill).count(), 1);
    let original = wasm(&text);
    let original = Module::parse(&original).expect("valid");
    let policy = Policy::default().with_zeroed_imports(true);
    let policy = policy.with_start_function(StartFunction::WritesStripped);
    let artifact = built(&original, &policy);
    let artifact = Artifact::decode(&artifact).expect("just encoded");
    // One segment is at 0x10000..0x1000c.
    for (addr, len, expected) in [
        (0x1000c, 0x1000, None),
        (0x1000b, 0x1000, Some(0x1000b)),
        (0xf000, 0x1000, None),
        (0xf001, 0x1000, Some(0x10000)),
        (0x10004, 4, Some(0x10004)),
        (0x10004, 0, None),
    ] {
        let other = format!("i32.const {addr} i32.const 0 i32.const {len} memory.fill");
        let other = wasm(&text.replace(fill, &other));
        let other = Module::parse(&other).expect("valid");
        let found = verify(other, HASH, &artifact).err();
        let expected = expected.map(|addr| Finding::StartFunction {
            because: StartDifference::Overlap { addr },
        });
        assert_eq!(found, expected, "{addr:#x}, {len}");
    }
}

/// Each module differs in one place from the one that the artifact was built from.
#[test]
fn another_module_is_a_finding() {
    let text = |memory: &str, offset: &str, data: &str| {
        wasm(&format!(
            r#"(module (import "e" "at" (global i32)) (import "e" "m" (memory 1)) {memory}
                (data (memory 1) ({offset}) "{data}") (data (memory 1) (i32.const 0) "x"))"#
        ))
    };
    let (memory, offset) = ("(memory 1)", "global.get 0");
    let original = text(memory, offset, "data");
    let module = Module::parse(&original).expect("valid");
    let plan = Plan::new(&module, &Policy::default());
    let image = ModuleImage::build(&module, &plan).expect("small");
    let artifact = image.with_source(HASH).encode().expect("small");
    let artifact = Artifact::decode(&artifact).expect("just encoded");
    let found = |wasm: &[u8], hash| {
        let module = Module::parse(wasm).expect("valid");
        verify(module, hash, &artifact).map(|it| it.n_replayed)
    };
    assert_eq!(found(&original, HASH), Ok(2));
    let other = SourceHash([8; 32]);
    let source = Finding::Source {
        expected: other,
        found: HASH,
    };
    assert_eq!(found(&original, other), Err(source));

    let segment = DataIndex::from_u32(0);
    let replay = Err(Finding::ReplayList { segment });
    assert_eq!(found(&text(memory, offset, "date"), HASH), replay);
    let moved = "i32.add (global.get 0) (i32.const 1)";
    assert_eq!(found(&text(memory, moved, "data"), HASH), replay);
    let elsewhere = wasm(
        r#"(module (import "e" "at" (global i32)) (import "e" "m" (memory 1)) (memory 1)
            (data (global.get 0) "data") (data (memory 1) (i32.const 0) "x"))"#,
    );
    assert_eq!(found(&elsewhere, HASH), replay);

    let memory = MemoryIndex::from_u32(1);
    let ty = Err(Finding::MemoryType { memory });
    assert_eq!(found(&text("(memory 2)", offset, "data"), HASH), ty);
    assert_eq!(found(&text("(memory 1 1)", offset, "data"), HASH), ty);
    let imported = r#"(import "e" "n" (memory 1))"#;
    assert_eq!(found(&text(imported, offset, "data"), HASH), ty);
}

#[test]
fn a_finding_says_what_differs() {
    let (memory, segment) = (MemoryIndex::from_u32(1), DataIndex::from_u32(2));
    let must_replay = |because| Finding::MustReplay { segment, because };
    let start = |because| Finding::StartFunction { because };
    let byte = |moment| Finding::Byte {
        memory,
        moment,
        byte: ByteDifference {
            addr: 16,
            expected: 1,
            found: 255,
        },
    };
    for (finding, expected) in [
        (
            Finding::ElementsMayTrap { expected: true },
            "elements may trap: expected true, found false",
        ),
        (
            must_replay(MustReplay::UnknownAddress),
            "segment 2 is not replayed although its address is not known",
        ),
        (
            must_replay(MustReplay::OutOfBounds),
            "segment 2 is not replayed although it is out of bounds",
        ),
        (
            must_replay(MustReplay::ImportedMemory),
            "segment 2 is not replayed although its memory is imported",
        ),
        (
            must_replay(MustReplay::AfterBarrier(DataIndex::from_u32(0))),
            "segment 2 is not replayed although it is after barrier segment 0",
        ),
        (
            start(StartDifference::ImportedMemory),
            "the image differs from what the start function writes: its memory is imported",
        ),
        (
            start(StartDifference::FlagIsSet { flag: 16, found: 1 }),
            "the image differs from what the start function writes: its flag at 0x10 is 1 when it \
             runs, expected 0",
        ),
        (
            byte(Moment::Image),
            "image of memory 1, address 0x10: expected 0x01, found 0xff",
        ),
        (
            byte(Moment::Replayed),
            "memory 1 after the replay, address 0x10: expected 0x01, found 0xff",
        ),
        (
            byte(Moment::Started),
            "memory 1 after the start function, address 0x10: expected 0x01, found 0xff",
        ),
    ] {
        assert_eq!(finding.to_string(), expected);
    }
    assert_eq!(HostFact::MemoryBytes(9).to_string(), "9 bytes");
}
