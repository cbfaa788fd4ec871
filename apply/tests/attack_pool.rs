//! Threads that do everything a pool allows, in random order, while system calls fail: no
//! call waits forever, no slot and no permit is lost or counted twice, no image leaks,
//! and no counter is wrong.
#![cfg(all(target_os = "linux", feature = "fault-injection"))]

extern crate alloc;

use alloc::sync::{Arc, Weak};
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Instant;

use wasm_meminit_apply::testing::{self, Plan};
use wasm_meminit_apply::{
    AcquireError, Call, MemoryImage, PoolConfig, PoolStats, PooledSlot, ResetOn, SlotConfig,
    SlotError, SlotPool, Strategy,
};
use wasm_meminit_image_builder::Image;
use wasm_meminit_test_support::images::n;
use wasm_meminit_test_support::numbers::Numbers;

const LEN: usize = 24 * 4096;
const N_IMAGES: usize = 4;
/// A thread that waits longer has been forgotten.
const LONG: Duration = Duration::from_secs(60);
/// `ENOMEM`.
const NO_MEMORY: i32 = 12;

#[derive(Clone, Copy, Debug)]
struct Case {
    seed: u64,
    n_threads: usize,
    max_slots: usize,
    n_shards: usize,
    max_resident: u64,
    batch: Option<usize>,
    strategy: Strategy,
    has_faults: bool,
}

impl Case {
    fn random(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        Self {
            seed,
            n_threads: 2 + numbers.below(6),
            max_slots: 1 + numbers.below(5),
            n_shards: 1 + numbers.below(8),
            max_resident: numbers.pick(&[0, 4096, 100_000, u64::MAX]),
            batch: numbers.pick(&[None, None, Some(1), Some(2), Some(5), Some(usize::MAX)]),
            strategy: numbers.pick(&[Strategy::Auto, Strategy::Discard, Strategy::Remap]),
            has_faults: numbers.one_in(2),
        }
    }
}

struct World {
    case: Case,
    pool: SlotPool,
    /// Each with the byte that it is filled with; replaced from time to time.
    images: Vec<Mutex<(u8, Arc<MemoryImage>)>>,
    gone: Mutex<Vec<Weak<MemoryImage>>>,
    n_in_use: AtomicUsize,
    n_starts: AtomicU64,
    is_over: AtomicBool,
    deadline: Instant,
}

fn new(byte: u8) -> Arc<MemoryImage> {
    let image = Image::capture(&vec![byte; 3 * 4096 + 5]).expect("small");
    let image = match byte % 3 {
        0 => MemoryImage::in_heap(image.as_ref()),
        _ => MemoryImage::new(image.as_ref()),
    };
    Arc::new(image.expect("room"))
}

fn fail_sometimes(world: &World, numbers: &mut Numbers) {
    let plan = (world.case.has_faults && numbers.one_in(3)).then(|| Plan {
        skip: u64::try_from(numbers.below(6)).expect("small"),
        fail: u64::try_from(1 + numbers.below(4)).expect("small"),
        only: numbers.pick(&[None, Some(Call::Mmap), Some(Call::Mprotect)]),
        code: NO_MEMORY,
    });
    testing::set(plan);
}

/// A channel to the thread that must drop a slot in use.
type Elsewhere = mpsc::Sender<PooledSlot>;

fn tenant(world: &World, nth: usize, elsewhere: &Elsewhere) {
    let seed = world.case.seed.wrapping_mul(1000) + u64::try_from(nth).expect("few");
    let mut numbers = Numbers(seed);
    while Instant::now() < world.deadline {
        let (byte, image) = {
            let mut held = world.images[numbers.below(N_IMAGES)]
                .lock()
                .expect("no panic");
            if numbers.one_in(40) {
                let byte = numbers.byte();
                testing::set(None);
                let old = core::mem::replace(&mut *held, (byte, new(byte)));
                if numbers.one_in(2) {
                    world.pool.evict(&old.1);
                }
                let weak = Arc::downgrade(&old.1);
                world.gone.lock().expect("no panic").push(weak);
            }
            held.clone()
        };
        let image = (!numbers.one_in(5)).then_some(&image);
        let bytes = 4 * 4096 + numbers.below(LEN - 4 * 4096);
        fail_sometimes(world, &mut numbers);
        let size = u64::try_from(bytes).expect("small");
        let begun = Instant::now();
        let acquired = match numbers.below(4) {
            0 => world.pool.try_acquire(image, size),
            1 => {
                let soon = Duration::from_micros(numbers.next() % 300);
                world.pool.acquire_timeout(image, size, soon)
            }
            2 => world.pool.acquire_timeout(image, size, LONG),
            _ => world.pool.acquire(image, size),
        };
        assert!(begun.elapsed() < LONG, "{:?}: forgotten", world.case);
        let mut slot = match acquired {
            Ok(slot) => slot,
            Err(AcquireError::Slot(SlotError::Os(_) | SlotError::Poisoned))
                if world.case.has_faults =>
            {
                continue;
            }
            Err(AcquireError::Exhausted { .. } | AcquireError::TimedOut { .. }) => continue,
            Err(err) => panic!("{:?}: {err}", world.case),
        };
        world.n_starts.fetch_add(1, Ordering::Relaxed);
        let in_use = world.n_in_use.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(in_use <= world.case.max_slots, "{:?}", world.case);
        let shows = slot.as_slice();
        let end = if image.is_some() { 3 * 4096 + 5 } else { 0 };
        let wrong = (0..bytes).find(|at| shows[*at] != if *at < end { byte } else { 0 });
        if let Some(at) = wrong {
            let n_wrong = shows[..end].iter().filter(|it| **it != byte).count();
            let found = shows[at];
            let source = image.map(|image| image.source());
            panic!(
                "{:?}: {found:#x} at {at:#x} of {bytes:#x}, {n_wrong} wrong in {source:?} of {byte:#x}",
                world.case
            );
        }
        for _ in 0..numbers.below(6) {
            let at = numbers.below(bytes);
            slot.as_mut_slice()[at] = 0xee;
        }
        if numbers.one_in(6) {
            let _ = slot.grow(u64::try_from(LEN).expect("small"));
        }
        if numbers.one_in(20) {
            let _ = slot.zero();
        }
        if numbers.one_in(4) {
            thread::yield_now();
        }
        fail_sometimes(world, &mut numbers);
        world.n_in_use.fetch_sub(1, Ordering::SeqCst);
        match numbers.below(12) {
            0 | 1 => elsewhere.send(slot).expect("the receiver is alive"),
            2 => {
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    let _slot = slot;
                    resume_unwind(Box::new("trap"));
                }));
                ended.expect_err("panicked");
            }
            _ => drop(slot),
        }
        testing::set(None);
        if numbers.one_in(60) {
            world.pool.drain();
        }
        if numbers.one_in(60)
            && let Some(image) = image
        {
            world.pool.evict(image);
        }
    }
    testing::set(None);
}

fn check_stats(world: &World, stats: &PoolStats) {
    let most = u64::MAX / 2;
    let what = format!("{:?}: {stats:?}", world.case);
    for count in [
        stats.n_hits,
        stats.n_maps,
        stats.n_blank,
        stats.n_stolen,
        stats.resident_bytes,
        stats.page_table_bytes,
        stats.image_bytes,
    ] {
        assert!(count < most, "{what}");
    }
    let max_slots = u64::try_from(world.case.max_slots).expect("few");
    assert!(stats.n_slots <= max_slots, "{what}");
}

fn check(case: Case, time: Duration) {
    let slot = SlotConfig::new(u64::try_from(LEN).expect("small")).with_strategy(case.strategy);
    let mut config = PoolConfig::new(slot, n(case.max_slots))
        .with_shards(n(case.n_shards))
        .with_max_resident(case.max_resident);
    if let Some(together) = case.batch {
        config = config.with_reset_on(ResetOn::Batch(n(together)));
    }
    let bytes = 1..=u8::try_from(N_IMAGES).expect("few");
    let world = World {
        case,
        pool: SlotPool::new(config),
        images: bytes.map(|byte| Mutex::new((byte, new(byte)))).collect(),
        gone: Mutex::default(),
        n_in_use: AtomicUsize::new(0),
        n_starts: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        deadline: Instant::now() + time,
    };
    thread::scope(|scope| {
        let world = &world;
        let (elsewhere, slots) = mpsc::channel::<PooledSlot>();
        scope.spawn(move || slots.into_iter().for_each(drop));
        scope.spawn(move || {
            while !world.is_over.load(Ordering::Relaxed) {
                check_stats(world, &world.pool.stats());
                assert!(Instant::now() < world.deadline + LONG, "{case:?}: stuck");
                thread::sleep(Duration::from_micros(200));
            }
        });
        let tenants: Vec<_> = (0..case.n_threads)
            .map(|nth| {
                let elsewhere = elsewhere.clone();
                scope.spawn(move || tenant(world, nth, &elsewhere))
            })
            .collect();
        drop(elsewhere);
        let ended: Vec<_> = tenants
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        world.is_over.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|it| it.expect("no failure"));
    });
    // All threads are done: all slots that may exist can be acquired, and no more.
    let pool = &world.pool;
    let all: Vec<_> = (0..case.max_slots)
        .map(|_| pool.try_acquire(None, 0))
        .collect();
    assert!(
        all.iter().all(Result::is_ok),
        "{case:?}: {:?}",
        pool.stats()
    );
    assert!(pool.try_acquire(None, 0).is_err(), "{case:?}");
    drop(all);
    pool.drain();
    let stats = pool.stats();
    let what = format!("{case:?}: {stats:?}");
    check_stats(&world, &stats);
    let n_starts =
        world.n_starts.load(Ordering::Relaxed) + u64::try_from(case.max_slots).expect("few");
    assert_eq!(
        stats.n_hits + stats.n_maps + stats.n_blank,
        n_starts,
        "{what}"
    );
    assert_eq!(stats.n_slots, stats.n_ready + stats.n_queued, "{what}");
    assert!(
        stats.resident_bytes + stats.page_table_bytes <= case.max_resident,
        "{what}"
    );
    for held in &world.images {
        pool.evict(&held.lock().expect("no panic").1);
    }
    // Images that no slot holds are gone: starts without an image have taken their slots.
    drop(
        (0..case.max_slots)
            .map(|_| pool.try_acquire(None, 0))
            .collect::<Vec<_>>(),
    );
    let gone = world.gone.lock().expect("no panic");
    assert!(gone.iter().all(|it| it.strong_count() == 0), "{what}");
}

/// Returns the duration in milliseconds; set the variable for longer runs.
fn time() -> u64 {
    let set = std::env::var("WASM_MEMINIT_STRESS_MS").ok();
    set.and_then(|it| it.parse().ok()).unwrap_or(4000)
}

#[test]
fn nothing_is_lost_whatever_threads_do() {
    let end = Instant::now() + Duration::from_millis(time());
    let mut seed = time();
    while Instant::now() < end {
        seed += 1;
        check(Case::random(seed), Duration::from_millis(150));
    }
}

/// Regression: as many shards as requested were allocated, without a limit.
#[test]
fn a_pool_of_any_size_can_be_made() {
    for (max_slots, n_shards) in [(usize::MAX, usize::MAX), (3, usize::MAX), (usize::MAX, 3)] {
        for max_bytes in [0, 4096] {
            let config = PoolConfig::new(SlotConfig::new(max_bytes), n(max_slots));
            let pool = SlotPool::new(config.with_shards(n(n_shards)));
            let held = [0, 0, max_bytes].map(|bytes| pool.try_acquire(None, bytes).expect("room"));
            assert_eq!(pool.stats().n_slots, 3);
            drop(held);
            assert_eq!(pool.stats().n_ready, 3);
        }
    }
}

/// Regression: a slot that turned out to be unusable only at its reset left its place
/// free, and nothing noticed.
#[test]
fn a_slot_poisoned_in_use_leaves_room_for_another_one() {
    let config = PoolConfig::new(SlotConfig::new(1 << 20), n(1));
    for config in [config, config.with_reset_on(ResetOn::Batch(n(usize::MAX)))] {
        let pool = SlotPool::new(config);
        let mut slot = pool.try_acquire(None, 4096).expect("room");
        testing::set(Some(Plan {
            skip: 0,
            fail: u64::MAX,
            only: Some(Call::Mprotect),
            code: NO_MEMORY,
        }));
        slot.grow(1 << 20).expect_err("refused");
        testing::set(None);
        let is_poisoned = slot.is_poisoned();
        drop(slot);
        assert!(is_poisoned);
        pool.try_acquire(None, 4096).expect("no slot is in use");
    }
}
