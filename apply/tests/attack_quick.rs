//! Attacks.
#![cfg(all(target_os = "linux", feature = "fault-injection"))]
extern crate alloc;
mod first_states;
use crate::first_states::{PAGE, assert_same, bytes, image, state};
use alloc::sync::Arc;
use wasm_meminit_analysis::{HostPageSize, Policy};
use wasm_meminit_apply::testing::{self, Plan};
use wasm_meminit_apply::{Call, ImageSource, MemoryImage, MemorySlot, SlotConfig, Strategy};
use wasm_meminit_image_builder::Image;

#[test]
fn heap_to_file_madvise_refused() {
    let a = state(8 * PAGE, &[(0, 8 * PAGE, 7)]);
    let b = state(8 * PAGE, &[(PAGE, 4 * PAGE, 9)]);
    let ia = image(ImageSource::Heap, &a);
    let ib = image(ImageSource::MemoryFile, &b);
    let mut slot = MemorySlot::new(&SlotConfig::new(bytes(16 * PAGE))).unwrap();
    slot.instantiate(Some(&ia), bytes(8 * PAGE)).unwrap();
    slot.reset().unwrap();
    testing::set(Some(Plan {
        skip: 0,
        fail: u64::MAX,
        only: Some(Call::Madvise),
        code: 22,
    }));
    slot.instantiate(Some(&ib), bytes(8 * PAGE)).unwrap();
    testing::set(None);
    assert_same(slot.as_slice(), &b, "x");
}

fn fine(page: u64, state: &[u8], heap: bool) -> Arc<MemoryImage> {
    let policy = Policy::balanced(HostPageSize::new(page).unwrap()).with_max_gap(0);
    let c = Image::capture_with(state, &policy).unwrap();
    Arc::new(if heap {
        MemoryImage::in_heap(c.as_ref()).unwrap()
    } else {
        MemoryImage::new(c.as_ref()).unwrap()
    })
}

#[test]
fn fine_pages_old_end_unaligned() {
    for page in [1, 2, 16, 512] {
        for heap in [true, false] {
            let s = state(8 * PAGE, &[(7 * PAGE + 3, 5, 7)]);
            let i = fine(page, &s, heap);
            let mut slot = MemorySlot::new(&SlotConfig::new(bytes(16 * PAGE))).unwrap();
            slot.instantiate(Some(&i), bytes(8 * PAGE)).unwrap();
            assert_same(slot.as_slice(), &s, "fine");
            slot.reset().unwrap();
            slot.protect().unwrap();
            slot.instantiate(None, bytes(PAGE)).unwrap();
            assert_same(slot.as_slice(), &[0; PAGE], "none");
        }
    }
}

#[test]
fn idle_tables_and_a_failed_mapping() {
    let table = 2 << 20;
    let n = 48;
    let _ = wasm_meminit_apply::Capabilities::get();
    for skip in 0..8 {
        let config = SlotConfig::new(bytes(n * table)).strategy(Strategy::ScanAndCopy);
        let mut slot = MemorySlot::new(&config).unwrap();
        slot.instantiate(None, bytes(n * table)).unwrap();
        for t in (0..n).step_by(2) {
            slot.as_mut_slice()[t * table] = 1;
        }
        slot.reset().unwrap();
        for _ in 0..40 {
            slot.instantiate(None, bytes(n * table)).unwrap();
            slot.as_mut_slice()[0] = 1;
            testing::set(Some(Plan {
                skip,
                fail: 1,
                only: Some(Call::Mmap),
                code: 12,
            }));
            let r = slot.reset();
            testing::set(None);
            if r.is_err() {
                assert!(slot.is_poisoned());
                break;
            }
        }
    }
}

fn is_present(at: *const u8) -> bool {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::open("/proc/self/pagemap").unwrap();
    let mut entry = [0; 8];
    file.read_exact_at(&mut entry, bytes(at.addr() / PAGE * 8))
        .unwrap();
    u64::from_le_bytes(entry) >> 62 != 0
}

#[test]
fn keep_nothing() {
    for strategy in first_states::STRATEGIES {
        for source in first_states::SOURCES {
            for writes in [false, true] {
                let s = state(64 * PAGE, &[(8 * PAGE, 4 * PAGE, 1)]);
                let i = image(source, &s);
                let config = SlotConfig::new(bytes(64 * PAGE))
                    .strategy(strategy)
                    .keep_resident(0);
                let mut slot = MemorySlot::new(&config).unwrap();
                for round in 0..20 {
                    slot.instantiate(Some(&i), bytes(64 * PAGE)).unwrap();
                    let base = slot.as_ptr().cast_const();
                    if round != 0 {
                        let n = (0..64)
                            .filter(|n| is_present(base.wrapping_add(n * PAGE)))
                            .count();
                        if n != 0 {
                            eprintln!(
                                "{strategy} {source} writes {writes} round {round}: {n} present"
                            );
                        }
                    }
                    for at in (0..64).step_by(2) {
                        std::hint::black_box(slot.as_slice()[at * PAGE]);
                    }
                    if writes {
                        slot.as_mut_slice()[30 * PAGE] = 1;
                    }
                    slot.reset().unwrap();
                }
            }
        }
    }
}

#[test]
fn taken_descriptor() {
    use wasm_meminit_test_support::process::in_process;
    use wasm_meminit_test_support::test_name;
    assert!(in_process(test_name!(), "x", || {
        let s = state(4 * PAGE, &[(0, 4 * PAGE, 1)]);
        let i = image(ImageSource::MemoryFile, &s);
        let mut slot = MemorySlot::new(&SlotConfig::new(bytes(64 * PAGE))).unwrap();
        slot.instantiate(Some(&i), bytes(64 * PAGE)).unwrap();
        slot.as_mut_slice().fill(3);
        let empty = tempfile::tempfile().unwrap();
        let mut n = 0;
        for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
            let entry = entry.unwrap();
            let to = std::fs::read_link(entry.path()).unwrap_or_default();
            if to.to_string_lossy().contains("wasm-meminit") {
                let number: i32 = entry.file_name().to_string_lossy().parse().unwrap();
                assert!(wasm_meminit_test_support::probe::take_descriptor(
                    number, &empty
                ));
                n += 1;
            }
        }
        assert_eq!(n, 1);
        slot.reset().unwrap();
        let fresh = image(ImageSource::MemoryFile, &s);
        let mut slot =
            MemorySlot::new(&SlotConfig::new(bytes(64 * PAGE)).strategy(Strategy::ScanAndCopy))
                .unwrap();
        slot.instantiate(Some(&fresh), bytes(64 * PAGE)).unwrap();
        let r = slot.reset().unwrap();
        eprintln!("{r:?}");
        assert_eq!(r.by, Strategy::ScanAndCopy);
        true
    }));
}
