//! Vulnerabilities that slots of other engines had, each named; `pool_security` has those
//! of pools. docs/security.md says which code prevents which.
#![cfg(all(target_os = "linux", feature = "fault-injection"))]

extern crate alloc;

mod common;

use alloc::sync::Arc;
use core::fmt::Write as _;

use wasm_meminit_analysis::{HostPageSize, IndexType, MemoryIndex, Module, Plan, Policy};
use wasm_meminit_apply::testing;
use wasm_meminit_apply::{
    ImageSource, MemoryImage, MemorySlot, MemoryTooSmall, SlotConfig, SlotError, Strategy,
    copy_into_zeroed, copy_over, replay,
};
use wasm_meminit_image_builder::{Artifact, Image, ModuleImage};
use wasm_meminit_test_support::fork::in_fork;
use wasm_meminit_test_support::probe::is_readable;
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::test_name;

use crate::common::{
    BEST, HAS_GUARDS, PAGE, PATH, Path, SOURCES, STRATEGIES, assert_same, bytes, image,
    sealed_file, skip, skips_without_scans,
};

const SECRET: u8 = 0xa5;
const WASM_PAGE: usize = 16 * PAGE;
const LEN: usize = 4 * WASM_PAGE;

fn slot(strategy: Strategy) -> MemorySlot {
    slot_of(strategy, bytes(LEN))
}

fn slot_of(strategy: Strategy, max_bytes: u64) -> MemorySlot {
    let config = SlotConfig::new(max_bytes).with_strategy(strategy);
    MemorySlot::new(&config).expect("room")
}

/// Runs `check` for every strategy with an image of every source.
fn each(check: impl Fn(Strategy, ImageSource)) {
    for strategy in STRATEGIES {
        for source in SOURCES {
            check(strategy, source);
        }
    }
}

/// Runs a use that writes a secret to every byte.
#[track_caller]
fn use_once(slot: &mut MemorySlot, image: Option<&Arc<MemoryImage>>, len: usize) {
    slot.instantiate(image, bytes(len)).expect("room");
    slot.as_mut_slice().fill(SECRET);
    slot.reset().expect("reset");
}

#[track_caller]
fn assert_starts_as(
    slot: &mut MemorySlot,
    image: Option<&Arc<MemoryImage>>,
    state: &[u8],
    len: usize,
) {
    slot.instantiate(image, bytes(len)).expect("room");
    let mut expected = state.to_vec();
    expected.resize(len, 0);
    assert_same(slot.as_slice(), &expected, "at the start");
}

/// CVE-2022-39393: a slot reused for a module without an image showed the old image.
#[test]
fn a_slot_reused_without_an_image_shows_none() {
    each(|strategy, source| {
        let image = image(source, &[1; 2 * WASM_PAGE]);
        let mut slot = slot(strategy);
        use_once(&mut slot, Some(&image), LEN);
        assert_starts_as(&mut slot, None, &[], LEN);
    });
}

/// The same with another image, which is smaller, larger, or elsewhere.
#[test]
fn a_slot_reused_with_another_image_shows_only_that() {
    let states = [
        common::state(WASM_PAGE, &[(0, WASM_PAGE, 1)]),
        common::state(LEN, &[(0, 10, 2), (LEN - 10, 10, 2)]),
        common::state(2 * WASM_PAGE, &[(WASM_PAGE + 5, 5, 3)]),
    ];
    each(|strategy, source| {
        let images = [0, 1, 2].map(|nth| image(source, &states[nth]));
        let mut slot = slot(strategy);
        for nth in [0, 1, 2, 1, 0, 2, 0] {
            assert_starts_as(&mut slot, Some(&images[nth]), &states[nth], LEN);
            slot.as_mut_slice().fill(SECRET);
            slot.reset().expect("reset");
        }
    });
}

/// Engines that omit bounds checks rely on it.
#[test]
fn guards_are_promised_only_where_they_exist() {
    assert_eq!(MemorySlot::HAS_GUARDS, HAS_GUARDS);
    let mut slot = MemorySlot::new(&SlotConfig::new(bytes(64 * LEN))).expect("room");
    slot.instantiate(None, bytes(LEN)).expect("room");
    let base = slot.as_ptr();
    slot.grow(bytes(64 * LEN)).expect("room");
    assert!(!MemorySlot::HAS_GUARDS || slot.as_ptr() == base);
}

/// CVE-2022-39392: a memory of no pages had no guard, so that the first access was
/// within it.
#[test]
fn a_memory_of_no_bytes_is_not_accessible() {
    if !HAS_GUARDS {
        skip("accesses outside a buffer do not fault");
        return;
    }
    each(|strategy, source| {
        let config = SlotConfig::new(bytes(LEN))
            .with_strategy(strategy)
            .with_guard_before(1);
        let mut slot = MemorySlot::new(&config).expect("room");
        let base = slot.as_ptr().cast_const();
        for used in [false, true] {
            if used {
                use_once(&mut slot, Some(&image(source, &[1; PAGE])), LEN);
            }
            slot.instantiate(None, 0).expect("room");
            for at in [0, 1, PAGE, LEN - 1, LEN, LEN + WASM_PAGE - 1] {
                assert!(!is_readable(base.wrapping_add(at)), "{at:#x}");
            }
            assert!(!is_readable(base.wrapping_sub(1)));
            slot.reset().expect("reset");
        }
    });
    // Even an empty reservation has one page of guard.
    let mut none = slot_of(Strategy::Auto, 0);
    none.instantiate(None, 0).expect("room");
    assert!(!is_readable(none.as_ptr().cast_const()));
}

/// CVE-2026-34988: a smaller next memory left the rest of the last one accessible.
#[test]
fn a_smaller_next_memory_is_inaccessible_beyond_its_size() {
    if !HAS_GUARDS {
        skip("accesses outside a buffer do not fault");
        return;
    }
    each(|strategy, source| {
        let image = image(source, &[1; PAGE]);
        let mut slot = slot(strategy);
        use_once(&mut slot, Some(&image), LEN);
        assert_starts_as(&mut slot, Some(&image), &[1; PAGE], 2 * PAGE);
        let base = slot.as_ptr().cast_const();
        assert!(is_readable(base.wrapping_add(2 * PAGE - 1)));
        for at in [2 * PAGE, 3 * PAGE, WASM_PAGE, LEN - 1] {
            assert!(!is_readable(base.wrapping_add(at)), "{at:#x}");
        }
    });
}

/// Stale bytes above the accessible size came back with growth.
#[test]
fn growth_after_a_larger_memory_gives_zeros() {
    each(|strategy, source| {
        let image = image(source, &[1; PAGE]);
        let mut slot = slot(strategy);
        // Both grown in use and this large from the start.
        slot.instantiate(Some(&image), bytes(PAGE)).expect("room");
        slot.grow(bytes(LEN)).expect("room");
        slot.as_mut_slice().fill(SECRET);
        slot.reset().expect("reset");
        for small in [PAGE, PAGE + 1, 0] {
            let image = (small != 0).then_some(&image);
            let state = if small == 0 { &[][..] } else { &[1; PAGE] };
            assert_starts_as(&mut slot, image, state, small);
            slot.grow(bytes(LEN)).expect("room");
            let mut expected = state.to_vec();
            expected.resize(LEN, 0);
            assert_same(slot.as_slice(), &expected, "grown");
            slot.as_mut_slice().fill(SECRET);
            slot.reset().expect("reset");
        }
    });
}

/// CVE-2022-23636: an instantiation that failed half-way left partial state, which was
/// then dropped as if it were complete.
#[test]
fn a_failed_start_leaves_a_slot_that_starts_right() {
    const ENOMEM: i32 = 12;
    each(|strategy, source| {
        let (first, second) = (image(source, &[1; WASM_PAGE]), image(source, &[2; LEN]));
        let mut n_failed = 0;
        for skip in 0.. {
            let mut slot = slot(strategy);
            use_once(&mut slot, Some(&first), LEN);
            testing::set(Some(testing::Plan {
                skip,
                fail: 1,
                only: None,
                code: ENOMEM,
            }));
            let started = slot.instantiate(Some(&second), bytes(LEN));
            let n_calls = testing::n_calls();
            testing::set(None);
            match started {
                Ok(()) => {
                    assert_same(slot.as_slice(), &[2; LEN], "despite a failure");
                    slot.reset().expect("reset");
                }
                Err(SlotError::Os(_)) => {
                    n_failed += 1;
                    assert!(slot.is_empty());
                }
                Err(err) => panic!("{err}"),
            }
            if slot.is_poisoned() {
                assert!(slot.image().is_none());
                continue;
            }
            // Ready, with either the old contents or the new ones.
            let held = slot.image().cloned();
            let fill = match &held {
                Some(held) if Arc::ptr_eq(held, &first) => 1,
                Some(_) => 2,
                None => 0,
            };
            let len = if fill == 1 { WASM_PAGE } else { LEN };
            assert_starts_as(&mut slot, held.as_ref(), &vec![fill; len], LEN);
            slot.reset().expect("reset");
            assert_starts_as(&mut slot, None, &[], LEN);
            if n_calls <= skip {
                break;
            }
        }
        // Copying makes no system call that could fail.
        let asks = source != ImageSource::Heap;
        assert!(n_failed != 0 || !asks, "{strategy}, {source}");
    });
}

/// CVE-2021-43790: a slot was handed out before its last user was done. Here the state
/// prevents it: a slot in use cannot be started.
#[test]
fn a_slot_in_use_starts_nothing() {
    each(|strategy, source| {
        let image = image(source, &[1; PAGE]);
        let mut slot = slot(strategy);
        slot.instantiate(None, bytes(LEN)).expect("room");
        slot.as_mut_slice().fill(7);
        let started = slot.instantiate(Some(&image), bytes(LEN));
        assert_eq!(started, Err(SlotError::InUse));
        assert_eq!(slot.protect(), Err(SlotError::InUse));
        assert_same(slot.as_slice(), &[7; LEN], "still in use");
    });
}

/// Images were identified by their file, so two memories of one artifact, at two offsets,
/// were taken for one image.
#[test]
fn two_memories_of_one_file_are_two_images() {
    if PATH != Path::Linux {
        skip("files are not sealed");
        return;
    }
    let text = r#"(module
        (memory 1) (memory 1)
        (data (memory 0) (i32.const 0) "first")
        (data (memory 1) (i32.const 0) "second"))"#;
    let wasm = wat::parse_str(text).expect("text");
    let module = Module::parse(&wasm).expect("module");
    let plan = Plan::new(&module, &Policy::default());
    let artifact = ModuleImage::build(&module, &plan).expect("small");
    let artifact = artifact.encode().expect("small");
    let decoded = Artifact::decode(&artifact).expect("just encoded");
    let file = sealed_file(&artifact);
    let images = [0, 1].map(|nth| {
        let memory = MemoryIndex::from_u32(nth);
        Arc::new(MemoryImage::map_sealed(&decoded, memory, &file).expect("sealed"))
    });
    for strategy in STRATEGIES {
        let mut slot = slot(strategy);
        for nth in [0, 1, 1, 0] {
            let state: &[u8] = [&b"first"[..], b"second"][nth];
            assert_starts_as(&mut slot, Some(&images[nth]), state, LEN);
            slot.as_mut_slice().fill(SECRET);
            slot.reset().expect("reset");
        }
    }
}

/// The same with descriptors that are closed and reused: a new image in place of an old
/// one is a different image.
#[test]
fn an_image_that_is_gone_is_not_taken_for_a_new_one() {
    each(|strategy, source| {
        let mut slot = slot(strategy);
        for byte in 1..20 {
            let state = vec![byte; PAGE];
            let image = image(source, &state);
            assert_starts_as(&mut slot, Some(&image), &state, LEN);
            slot.as_mut_slice().fill(SECRET);
            slot.reset().expect("reset");
        }
    });
}

/// A scan stopped after 32 ranges, and only what it found was reset. Here a scan
/// continues where the last one ended, for any number of ranges and pages.
#[test]
fn a_scan_continues_where_it_ended() {
    const N_PAGES: usize = 1200;
    let first = common::state(N_PAGES / 2 * PAGE, &[(0, N_PAGES / 2 * PAGE, 1)]);
    each(|strategy, source| {
        let image = image(source, &first);
        for step in [1, 2] {
            let config = SlotConfig::new(bytes(N_PAGES * PAGE))
                .with_strategy(strategy)
                .with_keep_resident(u64::MAX);
            let mut slot = MemorySlot::new(&config).expect("room");
            let len = N_PAGES * PAGE;
            slot.instantiate(Some(&image), bytes(len)).expect("room");
            let written = slot.as_mut_slice().chunks_mut(PAGE).step_by(step);
            let n_written = written.map(|page| page[7] = SECRET).count();
            let report = slot.reset().expect("reset");
            if report.by == Strategy::ScanAndCopy {
                assert!(bytes(n_written * PAGE) <= report.written_bytes);
            }
            assert_starts_as(&mut slot, Some(&image), &first, len);
        }
    });
}

/// A 32-bit offset was sign-extended: data above 2 GiB was written elsewhere.
#[test]
fn addresses_above_two_gib_are_not_negative() {
    const AT: u64 = 0xc000_0123;
    let text = format!(r#"(module (memory 0xc001) (data (i32.const {AT}) "high"))"#);
    let wasm = wat::parse_str(text).expect("text");
    let module = Module::parse(&wasm).expect("module");
    let plan = Plan::new(&module, &Policy::smallest(HostPageSize::KIB_4));
    let built = ModuleImage::build(&module, &plan).expect("one page");
    let image = built.image(MemoryIndex::from_u32(0)).expect("one memory");
    assert_eq!(image.end(), (AT | 0xfff) + 1);
    let image = Arc::new(MemoryImage::new(image).expect("holes"));
    let at = usize::try_from(AT).expect("64 bits");
    for strategy in [
        Strategy::Auto,
        Strategy::ScanAndCopy,
        Strategy::Discard,
        Strategy::Remap,
    ] {
        let mut slot = slot_of(strategy, 1 << 32);
        for _ in 0..2 {
            slot.instantiate(Some(&image), 0xc001 << 16).expect("room");
            assert_eq!(slot.as_slice()[at..at + 5], *b"high\0");
            slot.as_mut_slice()[at] = SECRET;
            slot.reset().expect("reset");
        }
    }
}

/// An image of 64 KiB was copied into a memory of 4 KiB.
#[test]
fn an_image_larger_than_the_memory_is_refused() {
    let state = vec![1; WASM_PAGE];
    let too_small = |len| MemoryTooSmall {
        image_end: bytes(WASM_PAGE),
        memory_bytes: bytes(len),
    };
    each(|strategy, source| {
        let image = image(source, &state);
        for max_bytes in [PAGE, LEN] {
            let mut slot = slot_of(strategy, bytes(max_bytes));
            for len in [0, 1, PAGE] {
                let started = slot.instantiate(Some(&image), bytes(len));
                assert_eq!(started, Err(too_small(len).into()));
                assert!(slot.is_empty());
            }
        }
    });
    let captured = Image::capture(&state).expect("small");
    for len in [0, 1, PAGE, WASM_PAGE - 1] {
        let mut memory = vec![0; len];
        let copied = copy_into_zeroed(captured.as_ref(), &mut memory);
        assert_eq!(copied, Err(too_small(len)));
        assert_eq!(
            copy_over(captured.as_ref(), &mut memory),
            Err(too_small(len))
        );
        assert!(memory.iter().all(|byte| *byte == 0), "nothing was written");
    }
}

/// A page map opened before `fork` showed the parent's pages: a child's reset missed its
/// own.
#[test]
fn a_child_resets_its_own_pages() {
    assert!(in_process(test_name!(), "forks", || {
        each(|strategy, source| {
            let image = image(source, &[1; PAGE]);
            // All per-process state exists after this.
            use_once(&mut slot(strategy), Some(&image), LEN);
            // The parent has written one page; the child writes all of them.
            let mut slot = slot(strategy);
            slot.instantiate(Some(&image), bytes(LEN)).expect("room");
            slot.as_mut_slice()[0] = 9;
            let passed = in_fork(|| {
                slot.as_mut_slice().fill(SECRET);
                slot.reset().expect("reset");
                assert_starts_as(&mut slot, Some(&image), &[1; PAGE], LEN);
                slot.as_mut_slice().fill(SECRET);
                let report = wasm_meminit_apply::reset_many([&mut slot]);
                assert_eq!(report.n_poisoned, 0);
                assert_starts_as(&mut slot, None, &[], LEN);
                true
            });
            assert!(passed, "{strategy}, {source}");
            // The parent's pages are unchanged.
            assert_eq!(slot.as_slice()[0], 9);
            assert_same(&slot.as_slice()[1..PAGE], &[1; PAGE - 1], "the parent's");
        });
        true
    }));
}

/// Changing a shared list of segments made the second instantiation fail (WAMR 1115):
/// replaying the same plan twice must give the same result.
#[test]
fn a_second_replay_is_like_the_first() {
    let mut text = String::from("(module (memory 1)");
    for nth in 0..9 {
        write!(text, r#"(data (i32.const {}) "abc")"#, nth * 5).expect("a string");
    }
    text.push_str(r#"(data (i32.const 65534) "trap"))"#);
    let wasm = wat::parse_str(&text).expect("text");
    let module = Module::parse(&wasm).expect("module");
    let initialization = module.memory_initialization();
    let mut first = None;
    for _ in 0..3 {
        let mut memories = [(IndexType::I32, vec![0; WASM_PAGE])];
        let result = replay(&initialization, &mut memories, &|_| None);
        let left = (result, memories);
        match &first {
            None => first = Some(left),
            Some(first) => assert!(*first == left),
        }
    }
}

/// A copied image was erased after the next one was mapped, if pages could not be
/// discarded: the next memory had zeros in place of its image.
#[test]
fn a_mapped_image_after_a_copied_one_is_whole() {
    const EPERM: i32 = 1;
    let (copied, mapped) = (vec![1; LEN], vec![2; LEN]);
    let copied = image(ImageSource::Heap, &copied);
    for strategy in STRATEGIES {
        let mapped = image(BEST, &mapped);
        let mut slot = slot(strategy);
        for _ in 0..3 {
            use_once(&mut slot, Some(&copied), LEN);
            testing::set(Some(testing::Plan {
                skip: 0,
                fail: u64::MAX,
                only: Some(wasm_meminit_apply::Call::Madvise),
                code: EPERM,
            }));
            assert_starts_as(&mut slot, Some(&mapped), &[2; LEN], LEN);
            testing::set(None);
            slot.reset().expect("reset");
        }
    }
}

/// Pages that stay resident take no fault: a use that times its first writes learns which
/// pages earlier uses wrote to. Without a budget, there is nothing to time.
#[test]
fn a_slot_that_keeps_nothing_shows_no_page_of_the_last_use() {
    if skips_without_scans() {
        return;
    }
    let image = image(BEST, &[1; WASM_PAGE]);
    for (keep, shows) in [(0, false), (1 << 20, true)] {
        let config = SlotConfig::new(bytes(LEN)).with_keep_resident(keep);
        let mut slot = MemorySlot::new(&config).expect("room");
        for secret in [0b1011_0010_u32, 0b0100_1101] {
            slot.instantiate(Some(&image), bytes(LEN)).expect("room");
            for page in (0..8).filter(|bit| secret >> bit & 1 == 1) {
                slot.as_mut_slice()[(20 + page) * PAGE] = SECRET;
            }
            slot.reset().expect("reset");
            slot.instantiate(Some(&image), bytes(LEN)).expect("room");
            let found = slot.record().expect("scans work");
            assert_eq!(found.bytes() != 0, shows, "keep {keep}: {found:?}");
            slot.reset().expect("reset");
        }
    }
}
