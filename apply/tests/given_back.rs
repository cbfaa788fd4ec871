//! Memory that a slot does not report as resident has been freed, on every path.
#![cfg(target_os = "linux")]

extern crate alloc;

mod common;

use wasm_meminit_apply::{MemorySlot, SlotConfig, Strategy};
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::report::Report;
use wasm_meminit_test_support::test_name;

use crate::common::{HAS_GUARDS, PAGE, STRATEGIES, assert_same, bytes, image, state};

const LEN: usize = 96 << 20;

/// Returns how many bytes of this process are resident.
fn resident() -> usize {
    field("VmRSS")
}

fn field(name: &str) -> usize {
    Report::status().bytes(name).expect("/proc")
}

fn slot(strategy: Strategy, keep: u64) -> MemorySlot {
    let config = SlotConfig::new(bytes(LEN))
        .with_strategy(strategy)
        .with_keep_resident(keep);
    MemorySlot::new(&config).expect("room")
}

fn fill(slot: &mut MemorySlot) {
    slot.instantiate(None, bytes(LEN)).expect("room");
    slot.as_mut_slice().fill(7);
}

/// Regression: on the portable path nothing was freed: 264 MB stayed until the slot was
/// dropped, while the report said 0.
#[test]
fn memory_that_is_not_resident_was_freed() {
    let passed = in_process(test_name!(), "child", || {
        for strategy in STRATEGIES {
            for keep in [0, u64::MAX] {
                let (before, addresses) = (resident(), field("VmSize"));
                let mut slot = slot(strategy, keep);
                fill(&mut slot);
                assert!(before + LEN / 2 < resident(), "written");
                let report = slot.reset().expect("reset");
                let reported = usize::try_from(report.resident_bytes).expect("fits");
                let found = resident() - before;
                let what = format!("{strategy}, keep {keep}: {report:?}, {found} found");
                assert!(found < reported + LEN / 8, "{what}");
                if strategy != Strategy::Copy {
                    assert!(report.resident_bytes <= keep, "{what}");
                }
                if !HAS_GUARDS {
                    // Inaccessible zeros are no reason to keep a buffer.
                    slot.protect().expect("protected");
                    let found = field("VmSize") - addresses;
                    assert!(found < LEN / 8, "protected, {what}: {found} allocated");
                }
            }
        }
        true
    });
    assert!(passed);
}

/// Regression: on the portable path, a memory that had grown page by page kept all of it, because
/// the buffer had room to grow further.
#[test]
fn a_memory_that_grew_is_freed() {
    const STEP: usize = 16 * PAGE;
    let passed = in_process(test_name!(), "child", || {
        for strategy in STRATEGIES {
            let before = resident();
            let mut slot = slot(strategy, 0);
            slot.instantiate(None, bytes(STEP)).expect("room");
            for len in (2 * STEP..LEN - STEP).step_by(STEP) {
                slot.grow(bytes(len)).expect("room");
            }
            slot.as_mut_slice().fill(7);
            let report = slot.reset().expect("reset");
            let reported = usize::try_from(report.resident_bytes).expect("fits");
            let found = resident().saturating_sub(before);
            let what = format!("{strategy}: {report:?}, {found} found");
            assert!(found < reported + LEN / 8, "{what}");
        }
        true
    });
    assert!(passed);
}

/// Regression: on the portable path, a smaller memory after a larger one did not free the
/// rest, and neither did the next start. What is past its end may stay within the budget,
/// for a memory that grows; if none does, it is freed.
#[test]
fn a_smaller_memory_frees_what_is_past_its_end() {
    let passed = in_process(test_name!(), "child", || {
        for strategy in STRATEGIES {
            let before = resident();
            let mut slot = slot(strategy, u64::MAX);
            fill(&mut slot);
            slot.reset().expect("reset");
            for _ in 0..33 {
                slot.instantiate(None, bytes(LEN / 16)).expect("room");
                slot.as_mut_slice()[0] = 7;
                slot.reset().expect("reset");
            }
            slot.instantiate(None, bytes(LEN / 16)).expect("room");
            let found = resident() - before;
            assert!(found < LEN / 4, "{strategy}: {found} bytes are resident");
            slot.grow(bytes(LEN)).expect("room");
            assert_same(slot.as_slice(), &vec![0; LEN], "grown");
        }
        true
    });
    assert!(passed);
}

/// A buffer that is closed ends with the image that it holds.
#[test]
fn a_protected_buffer_is_as_large_as_its_image() {
    if HAS_GUARDS {
        common::skip("there are no buffers");
        return;
    }
    let passed = in_process(test_name!(), "child", || {
        let first = state(20 * PAGE, &[(PAGE, 10, 1), (19 * PAGE, PAGE, 2)]);
        let image = image(common::BEST, &first);
        for strategy in STRATEGIES {
            let before = (resident(), field("VmSize"));
            let mut slot = slot(strategy, u64::MAX);
            slot.instantiate(Some(&image), bytes(LEN)).expect("room");
            slot.as_mut_slice().fill(7);
            slot.reset().expect("reset");
            slot.protect().expect("protected");
            let found = (resident() - before.0, field("VmSize") - before.1);
            assert!(found.0 < LEN / 8, "{strategy}: {} resident", found.0);
            assert!(found.1 < LEN / 8, "{strategy}: {} allocated", found.1);
            slot.instantiate(Some(&image), bytes(20 * PAGE))
                .expect("room");
            assert_same(slot.as_slice(), &first, "at the start");
        }
        true
    });
    assert!(passed);
}

/// Regression: on the portable path, a protected slot lost its image without noticing.
#[test]
fn a_protected_slot_keeps_its_image() {
    let first = state(20 * PAGE, &[(PAGE, 10, 1), (19 * PAGE, PAGE, 2)]);
    for source in common::SOURCES {
        let image = image(source, &first);
        for strategy in STRATEGIES {
            let mut slot = slot(strategy, u64::MAX);
            for _ in 0..3 {
                slot.instantiate(Some(&image), bytes(20 * PAGE))
                    .expect("room");
                assert_same(slot.as_slice(), &first, "at the start");
                slot.as_mut_slice().fill(0xa5);
                slot.reset().expect("reset");
                slot.protect().expect("protected");
            }
        }
    }
}
