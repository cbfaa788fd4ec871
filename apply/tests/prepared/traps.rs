//! Segments that trap, and segments that just fit.

use wasm_meminit_analysis::{DataIndex, InitErrorKind, MemoryIndex, Policy};
use wasm_meminit_apply::InstantiateError;

use super::{WASM_PAGE, at, prepare, slot};

const AT_BASE: &str = r#"(module
    (import "env" "base" (global $base i32))
    (memory 1)
    (data (i32.const 0) "baked")
    (data (global.get $base) "")
    (data (i32.const 8) "after"))"#;

#[test]
fn an_empty_segment_may_be_at_the_end_but_not_past_it() {
    let module = prepare(AT_BASE, &Policy::default());
    assert_eq!(module.n_replayed(), 2);
    let mut slot = slot();
    let memory = &mut [(&mut slot).into()];
    module.instantiate(memory, &at(0x1_0000)).expect("the end");
    assert_eq!(slot.as_slice()[..16], *b"baked\0\0\0after\0\0\0");
    slot.reset().expect("works");

    let memory = &mut [(&mut slot).into()];
    let err = module.instantiate(memory, &at(0x1_0001));
    let err = err.expect_err("past the end");
    assert!(err.is_trap(), "{err}");
    let InstantiateError::Segment(err) = err else {
        panic!("{err}");
    };
    assert_eq!(err.segment, Some(DataIndex::from_u32(1)));
    assert_eq!(err.memory_index, MemoryIndex::from_u32(0));
    let expected = InitErrorKind::OutOfBounds {
        addr: 0x1_0001,
        len: 0,
        size: 0x1_0000,
    };
    assert_eq!(err.kind, expected);
    // Segments before it were written; those after it were not.
    assert_eq!(slot.as_slice()[..16], *b"baked\0\0\0\0\0\0\0\0\0\0\0");

    // After a trap a slot is reset like any other.
    slot.reset().expect("works");
    let memory = &mut [(&mut slot).into()];
    module.instantiate(memory, &at(3)).expect("fits");
    assert_eq!(slot.as_slice()[..16], *b"baked\0\0\0after\0\0\0");
}

#[test]
fn a_trap_leaves_what_was_written_to_an_imported_memory() {
    let wat = r#"(module
        (import "env" "memory" (memory 1))
        (import "env" "base" (global $base i32))
        (memory $own 1)
        (data (memory 0) (i32.const 0) "first")
        (data (memory $own) (global.get $base) "traps")
        (data (memory 0) (i32.const 0) "never"))"#;
    let module = prepare(wat, &Policy::default());
    let mut imported = vec![9; WASM_PAGE];
    let mut slot = slot();
    let memories = &mut [imported.as_mut_slice().into(), (&mut slot).into()];
    let err = module.instantiate(memories, &at(-1)).expect_err("outside");
    assert!(err.is_trap());
    assert_eq!(imported[..6], *b"first\x09");
    assert_eq!(slot.len(), 0x1_0000);
    assert!(slot.as_slice().iter().all(|byte| *byte == 0));
}

#[test]
fn a_replayed_segment_overwrites_a_baked_one_and_is_overwritten_by_a_later_one() {
    let wat = r#"(module
        (import "env" "base" (global $base i32))
        (memory 1)
        (data (i32.const 4) "bakedbaked")
        (data (global.get $base) "REPLAYED")
        (data (i32.const 9) "later"))"#;
    let module = prepare(wat, &Policy::default());
    assert!(module.memories()[0].image().is_some());
    let mut slot = slot();
    for (base, expected) in [
        (0, b"REPLAYEDdlater\0\0"),
        (8, b"\0\0\0\0bakeRlaterED"),
        (32, b"\0\0\0\0bakedlater\0\0"),
    ] {
        let memory = &mut [(&mut slot).into()];
        module.instantiate(memory, &at(base)).expect("fits");
        assert_eq!(slot.as_slice()[..16], *expected);
        slot.reset().expect("works");
    }
}

#[test]
fn elements_may_trap_is_reported_and_a_slot_can_be_zeroed() {
    let wat = |at: u32| {
        format!(
            r#"(module
                (memory 1)
                (table 1 funcref)
                (func $f)
                (data (i32.const 0) "baked")
                (elem (i32.const {at}) func $f))"#
        )
    };
    assert!(!prepare(&wat(0), &Policy::default()).elements_may_trap());
    let module = prepare(&wat(1), &Policy::default());
    assert!(module.elements_may_trap());
    let mut slot = slot();
    for _ in 0..2 {
        let memory = &mut [(&mut slot).into()];
        module.instantiate(memory, &|_| None).expect("fits");
        assert_eq!(slot.as_slice()[..5], *b"baked");
        // The engine's elements trap: no data was written.
        slot.zero().expect("works");
        assert!(slot.as_slice().iter().all(|byte| *byte == 0));
        slot.reset().expect("works");
    }
}
