//! Every kind of memory, and the cost of its second use.

use alloc::sync::Arc;
use std::thread;

use wasm_meminit_analysis::{MemoryIndex, Policy};
use wasm_meminit_apply::{InstantiateError, PreparedModule};

use super::{WASM_PAGE, assert_same, at, prepare, slot};

const HYBRID: &str = r#"(module
    (import "env" "base" (global $base i32))
    (memory 4)
    (data (i32.const 0x1000) "baked")
    (data (i32.const 0x30000) "far")
    (data (global.get $base) "replayed"))"#;

#[test]
fn a_prepared_module_is_shared_between_threads() {
    let module = Arc::new(prepare(HYBRID, &Policy::default()));
    assert!(!module.memories()[0].is_imported());
    thread::scope(|scope| {
        for nth in 0..4 {
            let module = &module;
            scope.spawn(move || {
                let mut slot = slot();
                for turn in 0..20 {
                    let base = 0x2000 + nth * 100 + turn;
                    let memory = &mut [(&mut slot).into()];
                    module.instantiate(memory, &at(base)).expect("fits");
                    let mut expected = vec![0; 4 * WASM_PAGE];
                    expected[0x1000..0x1005].copy_from_slice(b"baked");
                    expected[0x30000..0x30003].copy_from_slice(b"far");
                    let base = usize::try_from(base).expect("positive");
                    expected[base..base + 8].copy_from_slice(b"replayed");
                    assert_same(slot.as_slice(), &expected, "its own values");
                    slot.as_mut_slice()[base..base + 4096].fill(0xa5);
                    slot.reset().expect("works");
                }
            });
        }
    });
}

#[test]
fn an_import_promised_to_be_zero_gets_its_runs_at_any_size() {
    let wat = r#"(module
        (import "env" "memory" (memory 1))
        (data (i32.const 0x1000) "baked"))"#;
    let policy = Policy::default().with_zeroed_imports(true);
    let module = prepare(wat, &policy);
    assert!(module.memories()[0].is_imported());
    assert_eq!(module.n_replayed(), 0);
    for pages in [1, 3] {
        let mut memory = vec![0; pages * WASM_PAGE];
        let memories = &mut [memory.as_mut_slice().into()];
        module.instantiate(memories, &|_| None).expect("fits");
        let mut expected = vec![0; pages * WASM_PAGE];
        expected[0x1000..0x1005].copy_from_slice(b"baked");
        assert_same(&memory, &expected, "imported");
    }
}

/// A memory of one-byte pages ends inside the image's last page.
#[test]
fn a_memory_may_end_inside_a_host_page() {
    let wat = r#"(module (memory 5000 (pagesize 1)) (data (i32.const 4998) "ab"))"#;
    let module = prepare(wat, &Policy::default());
    let mut expected = vec![0; 5000];
    expected[4998..].copy_from_slice(b"ab");
    let (mut slot, mut bytes) = (slot(), vec![0; 5000]);
    let memory = &mut [(&mut slot).into()];
    module.instantiate(memory, &|_| None).expect("fits");
    assert_same(slot.as_slice(), &expected, "slot");
    let memory = &mut [bytes.as_mut_slice().into()];
    module.instantiate(memory, &|_| None).expect("fits");
    assert_same(&bytes, &expected, "bytes");
}

#[test]
fn placing_images_and_replaying_equal_instantiating() {
    let module = prepare(HYBRID, &Policy::default());
    assert_eq!(module.n_replayed(), 1);
    let mut slot = slot();
    let memory = &mut [(&mut slot).into()];
    module.place_images(memory).expect("fits");
    assert_eq!(slot.as_slice()[0x1000..0x1005], *b"baked");
    assert!(
        slot.as_slice()[0x2000..0x2008]
            .iter()
            .all(|byte| *byte == 0)
    );
    assert_eq!(
        module
            .memory(MemoryIndex::from_u32(0))
            .map(|it| it.min_bytes()),
        Some(4 << 16)
    );
    assert!(module.memory(MemoryIndex::from_u32(1)).is_none());
}

#[test]
fn errors_and_modules_are_send_and_sync() {
    fn check<T: Send + Sync>() {}
    check::<PreparedModule>();
    check::<InstantiateError>();
}

/// The second start makes exactly as many system calls as that of a slot alone.
#[cfg(all(target_os = "linux", feature = "fault-injection"))]
#[test]
fn a_second_start_makes_the_same_system_calls_as_a_slot() {
    use wasm_meminit_apply::testing;

    for wat in [
        HYBRID,
        r#"(module (memory 4) (data (i32.const 9) "baked"))"#,
    ] {
        let module = prepare(wat, &Policy::default());
        let memory = &module.memories()[0];
        let (mut ours, mut alone) = (slot(), slot());
        for instance in 0..4 {
            testing::set(None);
            module
                .instantiate(&mut [(&mut ours).into()], &at(0x2000))
                .expect("fits");
            let n_calls = testing::n_calls();
            testing::set(None);
            alone
                .instantiate(memory.image(), memory.min_bytes())
                .expect("fits");
            assert_eq!(n_calls, testing::n_calls(), "instance {instance}");
            if instance != 0 {
                assert_eq!(n_calls, 0);
            }
            for slot in [&mut ours, &mut alone] {
                slot.as_mut_slice()[0x2000..0x2008].fill(7);
                slot.reset().expect("works");
            }
        }
    }
}
