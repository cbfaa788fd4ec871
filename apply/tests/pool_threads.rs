//! Tenants on many threads, each with a secret, until time is up: no start shows anything
//! but its image.

extern crate alloc;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::num::NonZeroUsize;
use core::time::Duration;

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use wasm_meminit_apply::{
    AcquireError, MemoryImage, PoolConfig, ResetOn, SlotConfig, SlotPool, Strategy,
};
use wasm_meminit_image_builder::Image;
use wasm_meminit_test_support::numbers::Numbers;

const MEMORY_BYTES: usize = 64 * 4096;
const N_THREADS: u64 = 4;
/// The duration for each configuration; then every thread ends its current use.
const TIME: Duration = Duration::from_millis(700);
/// A thread that waits longer has been forgotten.
const LONG: Duration = Duration::from_secs(60);

struct World {
    pool: SlotPool,
    /// The images that memories start from, and their contents.
    images: Vec<(Option<Arc<MemoryImage>>, Vec<u8>)>,
    /// The base addresses of the memories in use.
    in_use: Mutex<BTreeSet<usize>>,
    deadline: Instant,
}

fn images() -> Vec<(Option<Arc<MemoryImage>>, Vec<u8>)> {
    let image = |state: &[u8]| {
        let image = Image::capture(state).expect("small");
        let mut bytes = state.to_vec();
        bytes.resize(MEMORY_BYTES, 0);
        let image = MemoryImage::new(image.as_ref()).expect("room");
        (Some(Arc::new(image)), bytes)
    };
    let mut sparse = vec![0; MEMORY_BYTES];
    for at in (0..MEMORY_BYTES).step_by(5 * 4096) {
        sparse[at] = 0x55;
    }
    let none = (None, vec![0; MEMORY_BYTES]);
    vec![image(&[0x33; 9 * 4096 + 1]), image(&sparse), none]
}

/// Runs one tenant's uses until time is up. Returns how many there were.
fn tenant(world: &World, nth: u64) -> u64 {
    let mut numbers = Numbers(nth);
    let secret = 0x80 | u8::try_from(nth).expect("few tenants");
    let mut n_uses = 0;
    while Instant::now() < world.deadline {
        let (image, expected) = &world.images[numbers.below(world.images.len())];
        let bytes = u64::try_from(MEMORY_BYTES).expect("small");
        let acquired = match numbers.below(3) {
            0 => world.pool.try_acquire(image.as_ref(), bytes),
            1 => {
                let soon = Duration::from_micros(50);
                world.pool.acquire_timeout(image.as_ref(), bytes, soon)
            }
            _ => world.pool.acquire_timeout(image.as_ref(), bytes, LONG),
        };
        let mut slot = match acquired {
            Ok(slot) => slot,
            Err(AcquireError::Exhausted { .. } | AcquireError::TimedOut { .. }) => continue,
            Err(err) => panic!("tenant {nth}: {err}"),
        };
        let base = slot.as_ptr().addr();
        assert!(
            world.in_use.lock().expect("no panic").insert(base),
            "tenant {nth}: in use by another tenant"
        );
        if slot.as_slice() != expected {
            let bytes = slot.as_slice();
            let wrong = (0..bytes.len()).find(|&at| bytes[at] != expected[at]);
            let at = wrong.unwrap_or(0);
            panic!("tenant {nth}: {:#x} at address {at:#x}", bytes[at]);
        }
        for _ in 0..numbers.below(20) {
            let at = numbers.below(MEMORY_BYTES - 100);
            slot.as_mut_slice()[at..at + 100].fill(secret);
        }
        if numbers.below(8) == 0 {
            thread::yield_now();
        }
        world.in_use.lock().expect("no panic").remove(&base);
        drop(slot);
        n_uses += 1;
        if numbers.below(50) == 0 {
            world.pool.drain();
        }
        if let (0, Some(image)) = (numbers.below(200), image) {
            world.pool.evict(image);
        }
    }
    n_uses
}

fn check(what: &str, config: PoolConfig) {
    let world = World {
        pool: SlotPool::new(config),
        images: images(),
        in_use: Mutex::default(),
        deadline: Instant::now() + TIME,
    };
    let n_uses: Vec<u64> = thread::scope(|scope| {
        let start = |nth| {
            scope.spawn({
                let world = &world;
                move || tenant(world, nth)
            })
        };
        let tenants: Vec<_> = (0..N_THREADS).map(start).collect();
        let end = |tenant: thread::ScopedJoinHandle<'_, u64>| tenant.join().expect("no leak");
        tenants.into_iter().map(end).collect()
    });
    let stats = world.pool.stats();
    println!("{what}: uses {n_uses:?}, {stats:?}");
    assert!(n_uses.iter().all(|n| *n != 0), "{what}: a tenant starved");
    let n_starts = stats.n_hits + stats.n_maps + stats.n_blank;
    assert_eq!(n_starts, n_uses.iter().sum(), "{what}");
    assert_eq!(stats.n_slots, stats.n_ready + stats.n_queued, "{what}");
    assert_eq!(stats.n_poisoned, 0, "{what}");
}

#[test]
fn no_tenant_sees_a_secret_of_another() {
    let n = |n| NonZeroUsize::new(n).expect("not zero");
    let bytes = u64::try_from(MEMORY_BYTES).expect("small");
    let of =
        |by, max_slots| PoolConfig::new(SlotConfig::new(bytes).with_strategy(by), n(max_slots));
    check("fewer slots than threads", of(Strategy::Auto, 2));
    check(
        "batches, fewer slots than threads",
        of(Strategy::Auto, 3).with_reset_on(ResetOn::Batch(n(2))),
    );
    check(
        "batches, discarded",
        of(Strategy::Discard, 16)
            .with_reset_on(ResetOn::Batch(n(4)))
            .with_shards(n(2)),
    );
    check(
        "little may stay resident",
        of(Strategy::ScanAndCopy, 8)
            .with_max_resident(20 * 4096)
            .with_shards(n(3)),
    );
    check("remapped", of(Strategy::Remap, 8).with_shards(n(4)));
}
