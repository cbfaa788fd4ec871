//! Runs the code of the READMEs (`tests/pages.rs` compares it with the example's) on
//! modules of every kind and compares the result with a naive replay.

#[allow(dead_code, reason = "the example's own `main`")]
#[path = "../examples/slot.rs"]
mod slot;

use wasm_meminit_analysis::{Module, Plan, Policy};

const BASE: i32 = 0x2_0003;

/// Returns the memory after writing the active segments of a module in order.
fn naive(size: usize, segments: &[(usize, &[u8])]) -> Vec<u8> {
    let mut memory = vec![0; size];
    for (at, data) in segments {
        memory[*at..at + data.len()].copy_from_slice(data);
    }
    memory
}

/// Runs the README's code and compares each of the three instances.
#[track_caller]
fn check(wat: &str, n_replayed: usize, expected: &[u8]) {
    let wasm = wat::parse_str(wat).expect("valid");
    let module = Module::parse(&wasm).expect("valid");
    let plan = Plan::new(&module, &Policy::default());
    assert_eq!(plan.replay().len(), n_replayed);

    let artifact = slot::build(&wasm).expect("built");
    let mut n_instances = 0;
    slot::start(&artifact, BASE, |memory| {
        n_instances += 1;
        assert_eq!(memory.len(), expected.len());
        let wrong = (0..memory.len()).find(|&at| memory[at] != expected[at]);
        assert_eq!(wrong, None, "first wrong address, instance {n_instances}");
        memory.fill(0xa5);
    })
    .expect("started");
    assert_eq!(n_instances, 3);
}

#[test]
fn a_hybrid_module_starts_with_the_segments_that_are_replayed() {
    let wat = r#"(module
        (import "env" "base" (global $base i32))
        (memory 3)
        (data (i32.const 0x20000) "baked, then overwritten in part")
        (data (i32.const 0x1000) "baked")
        (data (global.get $base) "replayed")
        (data (i32.const 0x20005) "after it."))"#;
    let base = usize::try_from(BASE).expect("positive");
    let segments: [(usize, &[u8]); 4] = [
        (0x20000, b"baked, then overwritten in part"),
        (0x1000, b"baked"),
        (base, b"replayed"),
        (0x20005, b"after it."),
    ];
    check(wat, 2, &naive(3 << 16, &segments));
}

#[test]
fn a_segmented_module_starts_with_all_its_segments() {
    let wat = r#"(module
        (import "env" "base" (global $base i32))
        (memory 3)
        (data (global.get $base) "replayed")
        (data (i32.const 0x20000) "over it"))"#;
    let base = usize::try_from(BASE).expect("positive");
    let segments: [(usize, &[u8]); 2] = [(base, b"replayed"), (0x20000, b"over it")];
    check(wat, 2, &naive(3 << 16, &segments));
}

#[test]
fn static_modules_and_those_without_data_start_too() {
    check("(module (memory 1))", 0, &naive(1 << 16, &[]));
    let wat = r#"(module (memory 2) (data (i32.const 65534) "abcd"))"#;
    check(wat, 0, &naive(2 << 16, &[(65534, b"abcd")]));
}

/// A trap is the module's error, not the host's: it names the segment.
#[test]
fn a_replayed_segment_that_does_not_fit_is_a_trap() {
    let wat = r#"(module
        (import "env" "base" (global $base i32))
        (memory 1)
        (data (i32.const 0) "baked")
        (data (global.get $base) "outside"))"#;
    let artifact = slot::build(&wat::parse_str(wat).expect("valid")).expect("built");
    let err = slot::start(&artifact, BASE, |_| panic!("not to be run")).expect_err("outside");
    let err = err.downcast::<wasm_meminit_apply::InstantiateError>();
    let err = err.expect("of the start");
    assert!(err.is_trap());
    assert_eq!(
        err.to_string(),
        "data segment 1 of memory 0: 7 bytes at address 0x20003 are out of bounds: the memory has 0x10000 bytes"
    );
}
