//! Nothing is allocated when slots are returned: a process that is out of memory, or of
//! mappings, can still end its uses. Where memories are buffers of the allocator, it is asked for
//! shorter ones, and may refuse: `scarce_memory.rs`.

mod common;

use allocation_counter::measure;
use wasm_meminit_apply::{PoolConfig, ResetOn, SlotConfig, SlotPool};
use wasm_meminit_test_support::images::{STRATEGIES, image, n};

use crate::common::{PATH, Path, skip};

fn pools() -> impl Iterator<Item = SlotPool> {
    let of = |by| {
        let slot = SlotConfig::new(1 << 20).with_strategy(by);
        let config = PoolConfig::new(slot, n(600)).with_shards(n(1));
        [
            config,
            config.with_max_resident(100 * 4096),
            config.with_max_resident(0),
            config.with_reset_on(ResetOn::Batch(n(50))),
            config
                .with_reset_on(ResetOn::Batch(n(50)))
                .with_max_resident(0),
        ]
    };
    STRATEGIES.into_iter().flat_map(of).map(SlotPool::new)
}

#[track_caller]
fn assert_nothing(pool: &SlotPool, what: &str, act: impl FnOnce()) {
    let n_allocations = measure(act).count_total;
    assert_eq!(n_allocations, 0, "{what}: then {:?}", pool.stats());
}

#[test]
fn allocations_are_seen() {
    let allocate = || drop(core::hint::black_box(Vec::<u8>::with_capacity(100)));
    assert_eq!(measure(allocate).count_total, 1);
}

#[test]
fn slots_are_returned_without_an_allocation() {
    if PATH == Path::Portable {
        skip("buffers are made shorter");
        return;
    }
    let images = [1, 2, 3].map(|byte| image(&[byte; 100]));
    for pool in pools() {
        // Three times: pages of the last uses are still resident, and rounds are due.
        for round in 0..3 {
            let mut held: Vec<_> = (0..600)
                .map(|nth| {
                    let image = images.get(nth % 4);
                    pool.try_acquire(image, 1 << 20).expect("room")
                })
                .collect();
            for slot in &mut held {
                for page in 0..20 {
                    slot.as_mut_slice()[page * 8192] = 1;
                }
            }
            while let Some(slot) = held.pop() {
                assert_nothing(&pool, "a return", || drop(slot));
            }
            let what = if round == 2 {
                "the last drain"
            } else {
                "a drain"
            };
            assert_nothing(&pool, what, || {
                pool.drain();
            });
        }
        for _ in 0..40 {
            let mut slot = pool.try_acquire(Some(&images[0]), 1 << 20).expect("ready");
            slot.as_mut_slice()[0] = 1;
            assert_nothing(&pool, "one of many returns", || drop(slot));
        }
        let other = pool.clone();
        drop(pool);
        let n_allocations = measure(|| drop(other)).count_total;
        assert_eq!(n_allocations, 0, "the end");
    }
}

/// A slot that is returned by another thread than the one that acquired it.
#[test]
fn other_threads_return_slots_without_an_allocation() {
    let config = PoolConfig::new(SlotConfig::new(65536), n(64));
    let pool = SlotPool::new(config.with_shards(n(4)));
    for _ in 0..8 {
        let held: Vec<_> = (0..64)
            .map(|_| pool.try_acquire(None, 8).expect("room"))
            .collect();
        let end = || assert_nothing(&pool, "on another thread", || drop(held));
        // The vector itself is only freed.
        std::thread::scope(|scope| scope.spawn(end).join().expect("none"));
    }
}

#[cfg(target_os = "linux")]
mod limits {
    //! At the real limit of mappings, in its own process.

    use std::process::Command;

    use super::*;

    const CHILD: &str = "POOL_AT_THE_LIMIT_OF_MAPPINGS";

    /// Runs one test of this binary in its own process; returns true in that process.
    fn is_child(test: &str) -> bool {
        if std::env::var_os(CHILD).is_some() {
            return true;
        }
        let this = std::env::current_exe().expect("known");
        let output = Command::new(this)
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .expect("starts");
        let has_run = String::from_utf8_lossy(&output.stdout).contains("1 passed");
        assert!(output.status.success() && has_run, "{output:?}");
        false
    }

    fn pool() -> SlotPool {
        let config = PoolConfig::new(SlotConfig::new(1 << 20), n(100_000));
        SlotPool::new(config.with_shards(n(1)))
    }

    #[test]
    fn all_slots_are_returned_at_the_mapping_limit() {
        if !is_child("limits::all_slots_are_returned_at_the_mapping_limit") {
            return;
        }
        let (pool, image) = (pool(), image(&[1; 100]));
        let mut held = Vec::new();
        while let Ok(slot) = pool.try_acquire(Some(&image), 65536) {
            held.push(slot);
        }
        let n_slots = u64::try_from(held.len()).expect("few");
        while let Some(slot) = held.pop() {
            drop(slot);
        }
        assert!(n_slots <= pool.stats().n_ready);
    }

    #[test]
    fn a_start_uses_ready_slots_at_the_mapping_limit() {
        if !is_child("limits::a_start_uses_ready_slots_at_the_mapping_limit") {
            return;
        }
        let (pool, images) = (pool(), [image(&[1; 100]), image(&[2; 100])]);
        let mut held = Vec::with_capacity(100_000);
        while let Ok(slot) = pool.try_acquire(Some(&images[0]), 65536) {
            held.push(slot);
        }
        let n_held = held.len();
        let n_starts = |pool: &SlotPool| {
            let stats = pool.stats();
            stats.n_hits + stats.n_blank + stats.n_maps
        };
        assert_eq!(n_starts(&pool), u64::try_from(n_held).expect("few"));
        held.truncate(n_held - 400);
        for _ in 0..200 {
            let slot = pool.try_acquire(Some(&images[1]), 65536);
            held.push(slot.expect("400 slots are ready"));
        }
        assert_eq!(n_starts(&pool), u64::try_from(n_held + 200).expect("few"));
    }
}
