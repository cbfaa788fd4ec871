//! Regression tests for edge cases of slots: changing the image where calls are refused, zeroing,
//! images of pages smaller than the host's, a reset that cannot free page tables, a slot
//! that must keep nothing, and descriptors that refer to another file.
#![cfg(all(target_os = "linux", feature = "fault-injection"))]

extern crate alloc;

mod common;

use alloc::sync::Arc;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use wasm_meminit_analysis::{HostPageSize, Policy};
use wasm_meminit_apply::testing::{self, Plan};
use wasm_meminit_apply::{
    Call, Capabilities, ImageSource, MemoryImage, MemorySlot, SlotConfig, Strategy, reset_many,
};
use wasm_meminit_image_builder::Image;
use wasm_meminit_test_support::probe::take_descriptor;
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::test_name;

use crate::common::{
    BEST, PAGE, PATH, Path, SOURCES, STRATEGIES, assert_same, bytes, image, skip, state,
};

fn config(len: usize, strategy: Strategy) -> SlotConfig {
    SlotConfig::new(bytes(len)).with_strategy(strategy)
}

fn slot(config: &SlotConfig) -> MemorySlot {
    MemorySlot::new(config).expect("room")
}

/// Returns an image whose runs are aligned only to `page` bytes.
fn image_of_pages(page: u64, state: &[u8], in_heap: bool) -> Arc<MemoryImage> {
    let page = HostPageSize::new(page).expect("a power of two");
    let policy = Policy::balanced(page).with_max_gap(0);
    let image = Image::capture_with(state, &policy).expect("small");
    let image = match in_heap {
        true => MemoryImage::in_heap(image.as_ref()),
        false => MemoryImage::new(image.as_ref()),
    };
    Arc::new(image.expect("room"))
}

/// Regression: the next image was mapped, and then the copy of the last one was erased
/// over it if its pages could not be discarded. The memory started with zeros in place of
/// its image.
#[test]
fn a_copied_image_is_not_erased_over_the_next_one() {
    let first = state(8 * PAGE, &[(0, 8 * PAGE, 7)]);
    let second = state(8 * PAGE, &[(PAGE, 2 * PAGE, 9), (6 * PAGE, 10, 8)]);
    let copied = image(ImageSource::Heap, &first);
    for source in SOURCES {
        let next = image(source, &second);
        for strategy in STRATEGIES {
            for pieces in [1, 8] {
                let mut slot = slot(&config(16 * PAGE, strategy).with_max_pieces(pieces));
                slot.instantiate(Some(&copied), bytes(8 * PAGE))
                    .expect("room");
                slot.reset().expect("reset");
                testing::set(Some(Plan {
                    skip: 0,
                    fail: u64::MAX,
                    only: Some(Call::Madvise),
                    code: 12,
                }));
                let started = slot.instantiate(Some(&next), bytes(8 * PAGE));
                testing::set(None);
                started.expect("needs no advice");
                assert_same(slot.as_slice(), &second, "at the start");
            }
        }
    }
}

/// Regression: the end of a run was taken for the end of a page, and a start after such
/// an image panicked.
#[test]
fn an_image_of_small_pages_can_be_replaced() {
    let first = state(8 * PAGE, &[(7 * PAGE + 3, 5, 7)]);
    for page in [1, 2, 16, 512] {
        for in_heap in [true, false] {
            let image = image_of_pages(page, &first, in_heap);
            let mut slot = slot(&config(16 * PAGE, Strategy::Auto));
            slot.instantiate(Some(&image), bytes(8 * PAGE))
                .expect("room");
            assert_same(slot.as_slice(), &first, "at the start");
            slot.reset().expect("reset");
            slot.protect().expect("ready");
            slot.instantiate(None, bytes(PAGE)).expect("room");
            assert_same(slot.as_slice(), &[0; PAGE], "without an image");
        }
    }
}

/// Regression: each run counted the pages that it touches, so an image of 16 KiB was
/// counted as megabytes, and dropped at each reset.
#[test]
fn runs_that_share_a_page_count_it_once() {
    let mut first = vec![0; 4 * PAGE];
    first.iter_mut().step_by(8).for_each(|byte| *byte = 1);
    let image = image_of_pages(1, &first, true);
    let config = config(64 * PAGE, Strategy::ScanAndCopy).with_keep_resident(1 << 20);
    let mut slot = slot(&config);
    for _ in 0..20 {
        slot.instantiate(Some(&image), bytes(64 * PAGE))
            .expect("room");
        slot.as_mut_slice()[0] = 5;
        let report = slot.reset().expect("reset");
        assert!(report.resident_bytes <= bytes(4 * PAGE), "{report:?}");
        assert!(slot.image().is_some() || PATH == Path::Unix, "{report:?}");
    }
}

/// Regression: a reset frees the page tables of many ranges with one mapping of all. When
/// that failed, it continued with each range, which were closed by then, and panicked.
#[test]
fn a_reset_that_cannot_free_page_tables_ends() {
    const TABLE: usize = 2 << 20;
    const N_TABLES: usize = 48;
    // Trials that run once run before calls fail.
    let _ = Capabilities::get();
    let mut n_failed = 0;
    let calls = [(Call::Mmap, 1), (Call::Mprotect, 1), (Call::Mprotect, 9)];
    for (call, fail) in calls {
        for skip in 0..4 {
            let mut slot = slot(&config(N_TABLES * TABLE, Strategy::ScanAndCopy));
            let len = bytes(N_TABLES * TABLE);
            slot.instantiate(None, len).expect("room");
            for nth in (0..N_TABLES).step_by(2) {
                slot.as_mut_slice()[nth * TABLE] = 1;
            }
            slot.reset().expect("reset");
            // One of these is a round, and frees tables.
            for _ in 0..20 {
                slot.instantiate(None, len).expect("room");
                for nth in 0..N_TABLES {
                    assert_eq!(slot.as_slice()[nth * TABLE], 0, "table {nth}");
                }
                slot.as_mut_slice()[0] = 1;
                testing::set(Some(Plan {
                    skip,
                    fail,
                    only: Some(call),
                    code: 12,
                }));
                let done = slot.reset();
                n_failed += u64::from(skip < testing::n_calls());
                testing::set(None);
                if done.is_err() {
                    assert!(slot.is_poisoned());
                    break;
                }
            }
        }
    }
    assert!(n_failed != 0 || PATH != Path::Linux, "nothing failed");
}

/// A system whose batches of advice, or scans, are reported as complete and do nothing: from
/// the start, or only on pages of files. Each is tried out before pages are left to it.
#[test]
fn calls_that_claim_to_be_complete_are_not_used() {
    if PATH != Path::Linux {
        skip("no calls are tried out on this path");
        return;
    }
    for (call, strategy) in [
        (Call::ProcessMadvise, Strategy::Discard),
        (Call::PagemapScan, Strategy::ScanAndCopy),
    ] {
        for on_files_only in [false, true] {
            let part = format!("{call}, {on_files_only}");
            assert!(
                in_process(test_name!(), &part, || {
                    if on_files_only {
                        let _ = Capabilities::get();
                    }
                    testing::set(Some(Plan {
                        skip: 0,
                        fail: u64::MAX,
                        only: Some(call),
                        code: 0,
                    }));
                    use_slots(strategy, on_files_only);
                    testing::set(None);
                    true
                }),
                "{part}"
            );
        }
    }
}

fn use_slots(strategy: Strategy, on_files_only: bool) {
    const SECRET: u8 = 0xa5;
    const LEN: usize = 8 * PAGE;
    let first = state(LEN, &[(0, 4 * PAGE, 3), (7 * PAGE, 9, 5)]);
    let image = image(ImageSource::ArtifactFile, &first);
    let mut slots: Vec<_> = (0..5).map(|_| slot(&config(LEN, strategy))).collect();
    for nth in 0..4 {
        // If the calls work on pages of no file, their result is that of the trial.
        let image = (on_files_only || nth % 2 == 0).then_some(&image);
        let expected = image.map_or(vec![0; LEN], |_| first.clone());
        for slot in &mut slots {
            slot.instantiate(image, bytes(LEN)).expect("room");
            assert_same(slot.as_slice(), &expected, "at the start");
            slot.as_mut_slice().fill(SECRET);
        }
        let report = reset_many(&mut slots);
        assert_eq!((report.n_batched, report.n_single), (0, 5), "{report:?}");
    }
}

fn is_present(at: *const u8) -> bool {
    const PRESENT_OR_SWAPPED: u32 = 62;
    let file = File::open("/proc/self/pagemap").expect("a page map");
    let mut entry = [0; 8];
    file.read_exact_at(&mut entry, bytes(at.addr() / PAGE * 8))
        .expect("an entry");
    u64::from_ne_bytes(entry) >> PRESENT_OR_SWAPPED != 0
}

/// "With 0 every page is discarded." Regression: pages that were only read stayed, and
/// the time of the first access showed the next use which they were.
#[test]
fn a_slot_that_keeps_nothing_keeps_no_page_that_was_read() {
    const N_PAGES: usize = 64;
    if PATH == Path::Portable {
        skip("buffers belong to the allocator");
        return;
    }
    // A heap image is copied at the start: these pages are resident.
    for source in SOURCES.into_iter().filter(|it| *it != ImageSource::Heap) {
        let image = image(source, &state(N_PAGES * PAGE, &[(8 * PAGE, 4 * PAGE, 1)]));
        for strategy in STRATEGIES.into_iter().filter(|it| *it != Strategy::Copy) {
            for writes in [false, true] {
                let mut slot = slot(&config(N_PAGES * PAGE, strategy).with_keep_resident(0));
                let mut sum = 0;
                for nth in 0..3 {
                    slot.instantiate(Some(&image), bytes(N_PAGES * PAGE))
                        .expect("room");
                    let base = slot.as_ptr().cast_const();
                    let at = |page: usize| base.wrapping_add(page * PAGE);
                    let n = (0..N_PAGES).filter(|page| is_present(at(*page))).count();
                    assert_eq!(n, 0, "use {nth}, {strategy}, {source}");
                    let read = slot.as_slice().iter().step_by(2 * PAGE);
                    sum += read.map(|byte| u64::from(*byte)).sum::<u64>();
                    if writes {
                        slot.as_mut_slice()[30 * PAGE] = 1;
                    }
                    slot.reset().expect("reset");
                }
                assert_eq!(sum, 6);
            }
        }
    }
}

/// Regression: a program that closes all descriptors gave the image's number to an empty
/// file. The trial of the image's pages read that file's first page: SIGBUS.
#[test]
fn a_descriptor_of_another_file_is_not_tried_out() {
    if PATH != Path::Linux {
        skip("files are not tried out");
        return;
    }
    assert!(in_process(test_name!(), "taken", || {
        let first = state(4 * PAGE, &[(0, 4 * PAGE, 1)]);
        let taken = image(BEST, &first);
        let mut slot_of_taken = slot(&config(64 * PAGE, Strategy::ScanAndCopy));
        let len = bytes(64 * PAGE);
        slot_of_taken
            .instantiate(Some(&taken), len)
            .expect("not replaced yet");
        slot_of_taken.as_mut_slice().fill(3);
        let empty = tempfile::tempfile().expect("a file");
        let mut n_taken = 0;
        for entry in std::fs::read_dir("/proc/self/fd").expect("a list") {
            let entry = entry.expect("open");
            let name = std::fs::read_link(entry.path()).unwrap_or_default();
            if name.to_string_lossy().contains("wasm-meminit") {
                let number = entry.file_name().into_string().expect("digits");
                assert!(take_descriptor(number.parse().expect("small"), &empty));
                n_taken += 1;
            }
        }
        assert_eq!(n_taken, 1);
        slot_of_taken.reset().expect("needs no file");
        // Other images are still trusted.
        let other = image(BEST, &first);
        let mut slot = slot(&config(64 * PAGE, Strategy::ScanAndCopy));
        slot.instantiate(Some(&other), len).expect("room");
        slot.as_mut_slice()[0] = 3;
        let report = slot.reset().expect("reset");
        report.by == Strategy::ScanAndCopy
    }));
}

/// Regression: buffers were made shorter, and moved. A failed instance still has the address.
#[test]
fn zeroing_does_not_move_the_memory() {
    const LEN: usize = 256 * PAGE;
    let mut slot = slot(&config(4 * LEN, Strategy::Auto));
    slot.instantiate(None, bytes(LEN)).expect("room");
    slot.as_mut_slice().fill(7);
    let before = slot.as_ptr();
    slot.zero().expect("in use");
    assert_eq!(slot.as_ptr(), before);
    assert!(slot.as_slice().iter().all(|it| *it == 0));
}

/// Regression: it wrote zeros over the holes of a mapped image, which are zero: a page each.
#[test]
fn zeroing_writes_no_holes() {
    const LEN: usize = 16 << 20;
    const N_PAGES: usize = 18;
    if PATH != Path::Linux {
        skip("nothing tells which pages were written");
        return;
    }
    let pieces: Vec<_> = (0..N_PAGES)
        .map(|nth| (nth * 225 * PAGE, PAGE, 7))
        .collect();
    let image = image(BEST, &state(LEN, &pieces));
    let mut slot = slot(&config(LEN, Strategy::Auto));
    for _ in 0..3 {
        slot.instantiate(Some(&image), bytes(LEN)).expect("room");
        slot.zero().expect("in use");
        assert!(slot.as_slice().iter().all(|it| *it == 0));
        let written = slot.record().expect("scans").bytes();
        assert!(written <= bytes(N_PAGES * PAGE), "{written} bytes");
        slot.reset().expect("in use");
    }
}
