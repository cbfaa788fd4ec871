//! Images in a pool: the cost of finding one, and what happens to one that is forgotten.

extern crate alloc;

mod common;

use alloc::sync::Arc;
use core::time::Duration;
use std::time::Instant;

use wasm_meminit_apply::{MemoryImage, PoolConfig, PooledSlot, ResetOn, SlotConfig, SlotPool};
use wasm_meminit_image_builder::Image;
use wasm_meminit_test_support::images::{image, n};

use crate::common::{PATH, Path};

/// An empty image: holding or dropping it takes no system call.
fn empty() -> Arc<MemoryImage> {
    let image = Image::capture(&[]).expect("small");
    Arc::new(MemoryImage::in_heap(image.as_ref()).expect("room"))
}

/// Returns a full pool with `n_slots` ready slots that hold the same image, and the
/// image.
fn full(n_slots: usize) -> (SlotPool, Arc<MemoryImage>) {
    let slot = SlotConfig::new(4096).with_guard(0);
    let pool = SlotPool::new(PoolConfig::new(slot, n(n_slots)).with_shards(n(1)));
    let image = empty();
    let held: Vec<_> = (0..n_slots)
        .map(|_| pool.try_acquire(Some(&image), 0).expect("room"))
        .collect();
    drop(held);
    (pool, image)
}

/// Returns whether a cost grows far less than the number of slots, a thousandfold here: with
/// so many, caches are colder, and other programs may run meanwhile.
fn is_about_constant(few: Duration, many: Duration) -> bool {
    many < 100 * few
}

fn least(times: impl Iterator<Item = Duration>) -> Duration {
    times.min().expect("several")
}

/// The cost of a start from an image that no slot holds: it takes over another one's
/// slot.
fn cost_of_a_miss(n_slots: usize) -> Duration {
    let (pool, _held) = full(n_slots);
    least((0..300).map(|_| {
        let other = empty();
        let before = Instant::now();
        let slot = pool.try_acquire(Some(&other), 0).expect("ready");
        let time = before.elapsed();
        drop(slot);
        // The next start uses another of the original slots.
        time
    }))
}

#[test]
fn a_miss_costs_the_same_for_any_number_of_slots() {
    let few = cost_of_a_miss(20);
    let many = cost_of_a_miss(20_000);
    println!("20 slots: {few:?}; 20,000: {many:?}");
    assert!(
        is_about_constant(few, many),
        "20 slots: {few:?}; 20,000: {many:?}"
    );
}

/// The cost of ending a use that exceeds the limit, while this many ready slots have
/// nothing resident.
fn cost_over_the_limit(n_slots: usize) -> Duration {
    let slot = SlotConfig::new(4096).with_guard(0);
    let config = PoolConfig::new(slot, n(n_slots)).with_shards(n(1));
    let pool = SlotPool::new(config.with_max_resident(0));
    let held: Vec<_> = (0..n_slots)
        .map(|_| pool.try_acquire(None, 0).expect("room"))
        .collect();
    drop(held);
    least((0..100).map(|_| {
        let mut slot = pool.try_acquire(None, 4096).expect("ready");
        slot.as_mut_slice()[0] = 1;
        let before = Instant::now();
        drop(slot);
        before.elapsed()
    }))
}

#[test]
fn trimming_costs_the_same_for_any_number_of_ready_slots() {
    let few = cost_over_the_limit(20);
    let many = cost_over_the_limit(20_000);
    println!("20 slots: {few:?}; 20,000: {many:?}");
    assert!(
        is_about_constant(few, many),
        "20 slots: {few:?}; 20,000: {many:?}"
    );
}

fn pools() -> impl Iterator<Item = SlotPool> {
    let config = PoolConfig::new(SlotConfig::new(65536), n(8)).with_shards(n(2));
    // There, images are copied, and none may stay.
    let keeps_none = PATH != Path::Portable;
    let keeps_none = keeps_none.then(|| config.with_max_resident(0));
    [config, config.with_reset_on(ResetOn::Batch(n(3)))]
        .into_iter()
        .chain(keeps_none)
        .map(SlotPool::new)
}

fn start(pool: &SlotPool, image: &Arc<MemoryImage>) -> PooledSlot {
    pool.try_acquire(Some(image), 65536).expect("room")
}

#[test]
fn an_image_forgotten_in_use_is_freed_when_the_use_ends() {
    for pool in pools() {
        let (gone, stays) = (image(b"gone"), image(b"stays"));
        let uses = [&gone, &gone, &stays].map(|image| start(&pool, image));
        pool.evict(&gone);
        assert_eq!(Arc::strong_count(&gone), 3, "they are in use");
        let [one, two, three] = uses;
        drop(one);
        assert_eq!(Arc::strong_count(&gone), 2);
        drop(two);
        drop(three);
        assert_eq!(Arc::strong_count(&gone), 1);
        pool.drain();
        let stats = pool.stats();
        assert_eq!((stats.n_retired, stats.n_slots), (2, 1), "{stats:?}");
        assert_eq!(Arc::strong_count(&stays), 2);
        drop(start(&pool, &stays));
        assert_eq!(pool.stats().n_hits, 1);
    }
}

/// The slot is not reset yet, and may never be.
#[test]
fn an_image_forgotten_while_its_slot_is_queued_is_freed() {
    let config = PoolConfig::new(SlotConfig::new(65536), n(8));
    let pool = SlotPool::new(config.with_reset_on(ResetOn::Batch(n(8))));
    let (gone, stays) = (image(b"gone"), image(b"stays"));
    drop([&stays, &gone, &stays, &gone].map(|image| start(&pool, image)));
    assert_eq!(pool.stats().n_queued, 4);
    pool.evict(&gone);
    assert_eq!((Arc::strong_count(&gone), pool.stats().n_queued), (1, 2));
}

/// Starting from the image again after it was forgotten makes it an ordinary image.
#[test]
fn an_image_used_again_after_it_was_forgotten_is_kept() {
    for pool in pools() {
        let image = image(b"again");
        let before = start(&pool, &image);
        pool.evict(&image);
        let after = start(&pool, &image);
        drop(before);
        drop(after);
        pool.drain();
        let stats = pool.stats();
        assert_eq!((stats.n_retired, stats.n_ready), (1, 1));
        drop(start(&pool, &image));
        pool.drain();
        let stats = pool.stats();
        assert_eq!((stats.n_retired, stats.n_hits, stats.n_ready), (1, 1, 1));
    }
}

/// A module is loaded, used and unloaded, again and again: the pool must not accumulate
/// data about it.
#[test]
fn data_about_dropped_images_does_not_accumulate() {
    let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(65536), n(2)));
    let mut most = 0;
    let mut gone = Vec::new();
    for _ in 0..1000 {
        let image = image(b"once");
        let held = start(&pool, &image);
        pool.evict(&image);
        gone.push(Arc::downgrade(&image));
        drop(held);
        drop(image);
        // Any other `Weak` keeps the image's allocation alive.
        gone.retain(|image| 1 < image.weak_count());
        most = gone.len().max(most);
    }
    assert_eq!(pool.stats().n_retired, 1000);
    assert!(most <= 64, "{most} remembered");
}
