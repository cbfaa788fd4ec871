//! Modules that the reference engine replays, or stores at many times their size. Here they
//! are static, and their artifacts are as small as expected.

use wasm_encoder::{ConstExpr, DataSection, MemorySection, MemoryType};
use wasm_meminit_analysis::{
    Decision, HostPageSize, MemoryIndex, Module, Plan, Policy, Reason, Run,
};
use wasm_meminit_image_builder::ModuleImage;

use crate::named::{check_wasm, check_wat};

const PAGE: u64 = 4096;

/// Checks that nothing of memory `nth` is replayed, that its image has these runs, and that the
/// artifact has as many pages plus less than one for the header.
#[track_caller]
fn check(text: &str, nth: u32, runs: &[(u64, u64)]) {
    check_binary(&wat::parse_str(text).expect("text format"), nth, runs);
}

#[track_caller]
fn check_binary(wasm: &[u8], nth: u32, runs: &[(u64, u64)]) {
    let module = Module::parse(wasm).expect("valid");
    let plan = Plan::new(&module, &Policy::default());
    let memory = &plan.memories()[MemoryIndex::from_u32(nth)];
    assert_eq!(memory.decision(), Decision::Static, "{:?}", plan.reasons());
    let runs: Vec<Run> = runs
        .iter()
        .map(|(page, n)| Run {
            addr: page * PAGE,
            len: n * PAGE,
        })
        .collect();
    assert_eq!(memory.runs(), runs);
    let artifact = ModuleImage::build(&module, &plan).expect("small").encode();
    let all_images: u64 = plan.memories().values().map(|it| it.image_bytes()).sum();
    let artifact = artifact.expect("small").len() as u64;
    assert!(artifact <= PAGE + all_images, "{artifact} bytes");
    check_wasm(wasm);
}

/// Returns a module with one memory of that many pages, and segments at these addresses: as text,
/// millions of zeros take seconds to read.
fn module(wasm_pages: u64, segments: &[(i32, &[u8])]) -> Vec<u8> {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: wasm_pages,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut data = DataSection::new();
    for (addr, bytes) in segments {
        data.active(0, &ConstExpr::i32_const(*addr), bytes.iter().copied());
    }
    let mut module = wasm_encoder::Module::new();
    module.section(&memories).section(&data);
    module.finish()
}

/// Probe 1: because of one unusual segment, the reference replays every memory.
#[test]
fn one_unusual_segment_does_not_affect_other_memories() {
    let module = |imports: &str, other: &str| {
        format!(
            r#"(module
                 {imports}
                 (memory $image 1)
                 (data (memory $image) (i32.const 8192) "a large image")
                 {other})"#
        )
    };
    let import = r#"(memory (import "a" "m") 1)"#;
    let to_import = r#"(data (memory 0) (i32.const 0) "")"#;
    check(&module(import, to_import), 1, &[(2, 1)]);

    let global = r#"(global $g (import "a" "g") i32)"#;
    let dynamic = r#"(memory $other 1) (data (memory $other) (global.get $g) "x")"#;
    check(&module(global, dynamic), 0, &[(2, 1)]);

    let bytes = r#"(memory $other 5 (pagesize 1)) (data (memory $other) (i32.const 0) "abcde")"#;
    check(&module("", bytes), 0, &[(2, 1)]);
    check(&module("", bytes), 1, &[(0, 1)]);

    let sparse = r#"(memory $other 1000)
        (data (memory $other) (i32.const 0) "x")
        (data (memory $other) (i32.const 0x3000000) "x")"#;
    check(&module("", sparse), 0, &[(2, 1)]);
    check(&module("", sparse), 1, &[(0, 1), (0x3000, 1)]);
}

/// Probe 1 again: a module that traps in every host needs no image.
#[test]
fn a_module_that_always_traps_is_replayed() {
    let text = r#"(module (memory 1) (data (i32.const 0) "x") (data (i32.const 65536) "trap"))"#;
    let wasm = wat::parse_str(text).expect("text format");
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &Policy::default());
    assert!(plan.is_segmented());
    check_wat(text);
}

/// Probe 2: the reference supports only a single constant as an offset.
#[test]
fn offsets_can_be_more_than_constants() {
    check(
        r#"(module
             (global $page i32 (i32.const 4096))
             (global $next i32 (i32.add (global.get $page) (global.get $page)))
             (memory 1)
             (data (global.get $page) "x")
             (data (i32.mul (global.get $next) (i32.const 2)) "y"))"#,
        0,
        &[(1, 4)],
    );
}

/// Probe 3: the reference counts overlaps and zeros as data, and spans before trimming.
#[test]
fn density_counts_nonzero_pages() {
    check(
        r#"(module
             (memory 256)
             (data (i32.const 0) "x")
             (data (i32.const 0xf00000) "y"))"#,
        0,
        &[(0, 1), (0xf00, 1)],
    );
    let mib = vec![0; 1 << 20];
    let mut segments = vec![(0, mib.as_slice()); 17];
    segments.push((0x200_0000, b"x"));
    check_binary(&module(513, &segments), 0, &[(0x2000, 1)]);
}

/// Probe 4: data of zeros alone is trimmed away.
#[test]
fn zeros_cost_nothing() {
    let zeros = vec![0; 4 << 20];
    check_binary(&module(100, &[(100, &zeros)]), 0, &[]);
}

/// Probe 5: bytes that are far apart take two pages, not a dense image.
#[test]
fn distant_bytes_take_two_pages() {
    check(
        r#"(module
             (memory 65536)
             (data (i32.const 0) "x")
             (data (i32.const 0xc0000000) "y"))"#,
        0,
        &[(0, 1), (0xc0000, 1)],
    );
}

/// Probe 6: an image above 4 GiB makes the reference panic.
#[test]
fn an_image_above_4_gib_does_not_panic() {
    let text = r#"(module
         (memory i64 200000)
         (data (i64.const 0) "x")
         (data (i64.const 0x200000000) "y"))"#;
    check(text, 0, &[(0, 1), (0x200000, 1)]);

    // As one dense image, like the reference's, it exceeds the caller's limit.
    let wasm = wat::parse_str(text).expect("text format");
    let module = Module::parse(&wasm).expect("valid");
    let limit = 1 << 30;
    let policy = Policy::single_run(HostPageSize::KIB_4, u64::MAX).with_max_image_size(limit);
    let plan = Plan::new(&module, &policy);
    let image_bytes = 0x2_0000_1000;
    assert_eq!(
        plan.reasons()[0].reason,
        Reason::SizeLimit { image_bytes, limit }
    );
}
