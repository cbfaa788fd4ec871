//! Pools whose slots have been used before every system call fails, at every position:
//! slots that are acquired are correct, and once nothing fails any more, the pool has all
//! its slots again.
#![cfg(all(
    target_os = "linux",
    feature = "fault-injection",
    any(not(feature = "test-portable"), feature = "test-unix")
))]

extern crate alloc;

mod common;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use wasm_meminit_apply::testing::{self, Plan};
use wasm_meminit_apply::{
    AcquireError, Call, ImageSource, MemoryImage, PoolConfig, PooledSlot, ResetOn, SlotConfig,
    SlotError, SlotPool,
};

use crate::common::{CALLS, PAGE, PATH, Path, SOURCES, assert_same, bytes, image, state, until};
use wasm_meminit_test_support::images::n;
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::report::Report;
use wasm_meminit_test_support::test_name;

const SECRET: u8 = 0xa5;
const MAX: usize = 64 * PAGE;
const N_SLOTS: usize = 4;

type Picture = (Option<Arc<MemoryImage>>, Vec<u8>);

/// No image, and an image of each source.
fn pictures() -> Vec<Picture> {
    let mut pictures = vec![(None, Vec::new())];
    for (nth, source) in SOURCES.into_iter().enumerate() {
        let at = nth * 5 * PAGE;
        let state = state(20 * PAGE, &[(at, 3 * PAGE, 1), (19 * PAGE, 9, 2)]);
        pictures.push((Some(image(source, &state)), state));
    }
    pictures
}

#[derive(Debug, Default)]
struct Counts {
    positions: BTreeMap<String, u64>,
    n_served: u64,
    n_refused: u64,
    n_exhausted: u64,
    n_poisoned: u64,
}

/// Runs the `nth` use of a pool: sizes, images and the number of slots held differ from
/// use to use.
fn use_once(pool: &SlotPool, nth: usize, pictures: &[Picture], counts: &mut Counts) {
    let mut held: Vec<PooledSlot> = Vec::with_capacity(N_SLOTS);
    for at in 0..1 + nth % (N_SLOTS + 1) {
        let (image, state) = &pictures[(nth / 2 + at) % pictures.len()];
        let len = state.len() + (nth * 13 + at * 7) % (MAX / PAGE - 20) * PAGE;
        match pool.try_acquire(image.as_ref(), bytes(len)) {
            Ok(mut slot) => {
                let mut expected = state.clone();
                expected.resize(len, 0);
                assert_same(slot.as_slice(), &expected, "acquired");
                slot.as_mut_slice().fill(SECRET);
                held.push(slot);
                counts.n_served += 1;
            }
            Err(AcquireError::Slot(SlotError::Os(_))) => counts.n_refused += 1,
            Err(AcquireError::Exhausted { .. }) => counts.n_exhausted += 1,
            Err(err) => panic!("{err}"),
        }
    }
}

#[test]
fn a_used_pool_serves_correct_slots_or_returns_an_error() {
    const EPERM: i32 = 1;
    const EAGAIN: i32 = 11;
    const ENOMEM: i32 = 12;
    let pictures = pictures();
    let mut counts = Counts::default();
    for (reset_on, max_resident) in [
        (ResetOn::Return, u64::MAX),
        (ResetOn::Return, bytes(20 * PAGE)),
        (ResetOn::Batch(n(3)), u64::MAX),
    ] {
        for call in CALLS {
            for skip in 0.. {
                let mut n_calls = 0;
                for (code, fail) in [(ENOMEM, 1), (ENOMEM, u64::MAX), (EPERM, 2), (EAGAIN, 1)] {
                    let config = PoolConfig::new(SlotConfig::new(bytes(MAX)), n(N_SLOTS));
                    let config = config.with_shards(n(1)).with_reset_on(reset_on);
                    let pool = SlotPool::new(config.with_max_resident(max_resident));
                    for nth in 0..16 {
                        use_once(&pool, nth, &pictures, &mut Counts::default());
                    }
                    testing::set(Some(Plan {
                        skip,
                        fail,
                        only: Some(call),
                        code,
                    }));
                    for nth in 16..21 {
                        use_once(&pool, nth, &pictures, &mut counts);
                    }
                    n_calls = n_calls.max(testing::n_calls());
                    testing::set(None);
                    is_as_before(&pool, &pictures);
                    counts.n_poisoned += pool.stats().n_poisoned;
                }
                if n_calls <= skip {
                    break;
                }
                *counts.positions.entry(call.to_string()).or_default() += 1;
            }
        }
    }
    println!("{counts:?}");
    let mmaps = [Call::Mmap, Call::Mprotect];
    let scans = [Call::PagemapScan, Call::ProcessMadvise];
    let reached = match PATH {
        Path::Linux => mmaps.iter().chain(&scans),
        _ => mmaps.iter().chain(&[]),
    };
    for call in reached {
        assert!(
            counts.positions.contains_key(&call.to_string()),
            "{call} never failed"
        );
    }
    assert_ne!(counts.n_refused, 0, "nothing was refused");
}

/// Checks that all slots can be acquired, each with the right contents, and that the
/// counters agree.
fn is_as_before(pool: &SlotPool, pictures: &[Picture]) {
    for nth in 0..3 {
        let mut counts = Counts::default();
        use_once(pool, 3 + 5 * nth, pictures, &mut counts);
        let all = bytes(N_SLOTS);
        assert_eq!((counts.n_served, counts.n_refused), (all, 0), "{counts:?}");
    }
    pool.drain();
    let stats = pool.stats();
    assert_eq!(stats.n_slots, bytes(N_SLOTS), "{stats:?}");
    assert_eq!(stats.n_ready, stats.n_slots, "{stats:?}");
    for (image, _) in pictures {
        if let Some(image) = image {
            pool.evict(image);
        }
    }
    let stats = pool.stats();
    let n_left = stats.n_ready;
    assert_eq!(stats.n_slots, n_left, "{stats:?}");
    assert!(n_left < bytes(N_SLOTS), "images were held: {stats:?}");
}

/// Regression: a ready slot whose pages or page tables the system refused to discard kept them,
/// and the pool was above its limit until the slot was reset again.
#[test]
fn the_limit_of_resident_bytes_holds_though_a_call_is_refused() {
    const ENOMEM: i32 = 12;
    let pictures = pictures();
    let mut n_refused = 0;
    for (max_resident, reset_on) in [
        (0, ResetOn::Return),
        (0, ResetOn::Batch(n(3))),
        (bytes(10 * PAGE), ResetOn::Return),
    ] {
        for call in CALLS {
            for skip in 0..24 {
                let config = PoolConfig::new(SlotConfig::new(bytes(MAX)), n(N_SLOTS));
                let config = config.with_shards(n(1)).with_reset_on(reset_on);
                let pool = SlotPool::new(config.with_max_resident(max_resident));
                for nth in 0..4 {
                    use_once(&pool, nth, &pictures, &mut Counts::default());
                }
                testing::set(Some(Plan {
                    skip,
                    fail: u64::MAX,
                    only: Some(call),
                    code: ENOMEM,
                }));
                for nth in 4..8 {
                    use_once(&pool, nth, &pictures, &mut Counts::default());
                }
                pool.drain();
                n_refused += u64::from(skip < testing::n_calls());
                testing::set(None);
                let stats = pool.stats();
                let is_within = stats.resident_bytes <= max_resident;
                assert!(is_within, "{call}, {skip}, {reset_on:?}: {stats:?}");
            }
        }
    }
    assert_ne!(n_refused, 0);
}

/// Regression: a start that the system refused made the slot's old image look as if it had been
/// used since it was evicted, and the slot kept it.
#[test]
fn a_refused_start_does_not_keep_an_evicted_image() {
    for code in [1, 11, 12] {
        let [old, new] = [1, 2].map(|byte| image(SOURCES[0], &state(PAGE, &[(0, 9, byte)])));
        let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(bytes(MAX)), n(1)));
        let held = pool.acquire(Some(&old), bytes(PAGE)).expect("room");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                testing::set(Some(Plan {
                    skip: 0,
                    fail: u64::MAX,
                    only: Some(Call::Mmap),
                    code,
                }));
                let refused = pool.acquire(Some(&new), bytes(PAGE));
                assert!(refused.is_err(), "{code}");
            });
            until(|| pool.stats().n_waits == 1);
            pool.evict(&old);
            drop(held);
        });
        assert_eq!(Arc::strong_count(&old), 1, "{code}");
    }
}

/// Regression: it was taken for retired, because its slot was refused after it had taken the image.
#[test]
fn a_refused_start_from_an_image_that_was_evicted_before() {
    for code in [1, 12] {
        let new = image(SOURCES[0], &state(PAGE, &[(0, 9, 1)]));
        let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(bytes(MAX)), n(1)));
        drop(pool.acquire(None, bytes(MAX)).expect("room"));
        pool.evict(&new);
        testing::set(Some(Plan {
            skip: 1,
            fail: u64::MAX,
            only: Some(Call::Mprotect),
            code,
        }));
        let refused = pool.try_acquire(Some(&new), bytes(PAGE));
        let n_calls = testing::n_calls();
        testing::set(None);
        assert!(PATH != Path::Linux || 1 < n_calls, "{code}: refused");
        drop(refused);
        let stats = pool.stats();
        assert_eq!(
            (stats.n_retired, stats.n_slots),
            (0, 1),
            "{code}: {stats:?}"
        );
    }
}

/// Regression: a slot that was refused, and started after another one was dropped, counted as one
/// without an image.
#[test]
fn a_retried_slot_that_holds_another_image_changes_images() {
    for code in [11, 12] {
        let [old, new] = [1, 2].map(|byte| image(SOURCES[0], &state(PAGE, &[(0, 9, byte)])));
        let config = PoolConfig::new(SlotConfig::new(bytes(MAX)), n(2)).with_shards(n(1));
        let pool = SlotPool::new(config);
        drop([(); 2].map(|()| pool.acquire(Some(&old), bytes(PAGE)).expect("room")));
        let before = pool.stats();
        testing::set(Some(Plan {
            skip: 0,
            fail: 2,
            only: Some(Call::Mmap),
            code,
        }));
        let slot = pool.try_acquire(Some(&new), bytes(PAGE));
        testing::set(None);
        assert_eq!(slot.expect("tried again").as_slice()[0], 2);
        let after = pool.stats();
        assert_eq!(after.n_slots, 1, "the other one was dropped: {after:?}");
        assert_eq!(after.n_maps, before.n_maps + 1, "{code}: {after:?}");
        assert_eq!(after.n_blank, before.n_blank, "{code}: {after:?}");
    }
}

/// Regression: the pages of an image that was copied before a later call was refused were not
/// counted, and stayed above the limit.
#[test]
fn a_refused_start_keeps_no_copy_above_the_limit() {
    const MIB: usize = 1 << 20;
    let passed = in_process(test_name!(), "child", || {
        let contents = state(4 * MIB, &[(0, 4 * MIB, 7)]);
        let images = [(); 4].map(|()| image(ImageSource::Heap, &contents));
        let anonymous = || Report::status().bytes("RssAnon").expect("/proc");
        let mut n_refused = 0;
        for only in [Some(Call::Mprotect), None] {
            for (code, fail) in [(12, 1), (12, u64::MAX), (1, u64::MAX)] {
                for skip in 0..4 {
                    let plan = Plan {
                        skip,
                        fail,
                        only,
                        code,
                    };
                    let config = PoolConfig::new(SlotConfig::new(bytes(8 * MIB)), n(4));
                    let pool = SlotPool::new(config.with_shards(n(1)).with_max_resident(0));
                    drop([(); 4].map(|()| pool.acquire(None, bytes(8 * MIB)).expect("room")));
                    let before = anonymous();
                    for image in &images {
                        testing::set(Some(plan));
                        drop(pool.try_acquire(Some(image), bytes(4 * MIB)));
                        n_refused += u32::from(skip < testing::n_calls());
                        testing::set(None);
                    }
                    let more = anonymous().saturating_sub(before);
                    let stats = pool.stats();
                    assert!(more < 2 * MIB, "{plan:?}: {more} bytes, {stats:?}");
                    // Where the copy can be removed, the slot is kept.
                    if (only, code) == (Some(Call::Mprotect), 1) {
                        assert_eq!(stats.n_slots, 4, "{plan:?}: {stats:?}");
                    }
                }
            }
        }
        n_refused != 0
    });
    assert!(passed);
}

/// Regression: the image of a slot that was refused after it had taken it was not counted. A slot
/// whose copy is removed holds none.
#[test]
fn the_image_of_a_refused_slot_is_counted() {
    // What is refused after the slot has taken the image: a mapped one takes a call before.
    for (source, skip) in [(SOURCES[0], 1), (ImageSource::Heap, 0)] {
        let new = image(source, &state(PAGE, &[(0, 9, 1)]));
        let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(bytes(MAX)), n(1)));
        drop(pool.acquire(None, bytes(MAX)).expect("room"));
        testing::set(Some(Plan {
            skip,
            fail: u64::MAX,
            only: Some(Call::Mprotect),
            code: 12,
        }));
        let refused = pool.try_acquire(Some(&new), bytes(PAGE));
        testing::set(None);
        if PATH == Path::Linux && source == ImageSource::Heap {
            assert!(refused.is_err());
            assert_eq!(pool.stats().image_bytes, 0, "{:?}", pool.stats());
        }
        drop(refused);
        let slot = pool.acquire(Some(&new), bytes(PAGE)).expect("room");
        assert_eq!(slot.as_slice()[0], 1);
        let stats = pool.stats();
        assert_eq!(stats.image_bytes, new.own_bytes(), "{stats:?}");
    }
}
