//! Images in a pool: what it costs to find one, and what becomes of one that is forgotten.

extern crate alloc;

use alloc::sync::Arc;
use core::time::Duration;
use std::time::Instant;

use wasm_meminit_apply::{MemoryImage, PoolConfig, PooledSlot, ResetOn, SlotConfig, SlotPool};
use wasm_meminit_image_builder::Image;
use wasm_meminit_test_support::images::{image, n};

/// An image of nothing: to hold it, or to give it up, is no system call.
fn empty() -> Arc<MemoryImage> {
    let image = Image::capture(&[]).expect("small");
    Arc::new(MemoryImage::in_heap(image.as_ref()).expect("room"))
}

/// A pool with so many ready slots that hold the same image, as many as it may have, and
/// the image.
fn full(n_slots: usize) -> (SlotPool, Arc<MemoryImage>) {
    let slot = SlotConfig::new(4096).guard(0);
    let pool = SlotPool::new(PoolConfig::new(slot, n(n_slots)).shards(n(1)));
    let image = empty();
    let held: Vec<_> = (0..n_slots)
        .map(|_| pool.try_acquire(Some(&image), 0).expect("room"))
        .collect();
    drop(held);
    (pool, image)
}

fn least(times: impl Iterator<Item = Duration>) -> Duration {
    times.min().expect("several")
}

/// What a start from an image that no slot holds costs: one is taken over.
fn cost_of_a_miss(n_slots: usize) -> Duration {
    let (pool, _held) = full(n_slots);
    least((0..300).map(|_| {
        let other = empty();
        let before = Instant::now();
        let slot = pool.try_acquire(Some(&other), 0).expect("ready");
        let time = before.elapsed();
        drop(slot);
        // The next one is another one of those that were there from the beginning.
        time
    }))
}

#[test]
fn to_find_no_slot_of_an_image_costs_the_same_however_many_there_are() {
    let few = cost_of_a_miss(20);
    let many = cost_of_a_miss(20_000);
    println!("20 slots: {few:?}; 20,000: {many:?}");
    assert!(many < 8 * few, "20 slots: {few:?}; 20,000: {many:?}");
}

/// What it costs to end a use that goes over the bound, where so many ready slots have
/// nothing resident.
fn cost_over_the_bound(n_slots: usize) -> Duration {
    let slot = SlotConfig::new(4096).guard(0);
    let config = PoolConfig::new(slot, n(n_slots)).shards(n(1));
    let pool = SlotPool::new(config.max_resident(0));
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
fn to_trim_costs_the_same_however_many_slots_are_ready() {
    let few = cost_over_the_bound(20);
    let many = cost_over_the_bound(20_000);
    println!("20 slots: {few:?}; 20,000: {many:?}");
    assert!(many < 4 * few, "20 slots: {few:?}; 20,000: {many:?}");
}

fn pools() -> [SlotPool; 3] {
    let config = PoolConfig::new(SlotConfig::new(65536), n(8)).shards(n(2));
    [
        config,
        config.max_resident(0),
        config.reset_on(ResetOn::Batch(n(3))),
    ]
    .map(SlotPool::new)
}

fn start(pool: &SlotPool, image: &Arc<MemoryImage>) -> PooledSlot {
    pool.try_acquire(Some(image), 65536).expect("room")
}

#[test]
fn an_image_forgotten_in_use_is_free_when_the_use_ends() {
    for pool in pools() {
        let (gone, stays) = (image(b"gone"), image(b"stays"));
        let uses = [&gone, &gone, &stays].map(|image| start(&pool, image));
        pool.forget(&gone);
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

/// It is not reset yet, and may never be.
#[test]
fn an_image_forgotten_when_its_slot_waits_to_be_reset_is_free() {
    let config = PoolConfig::new(SlotConfig::new(65536), n(8));
    let pool = SlotPool::new(config.reset_on(ResetOn::Batch(n(8))));
    let (gone, stays) = (image(b"gone"), image(b"stays"));
    drop([&stays, &gone, &stays, &gone].map(|image| start(&pool, image)));
    assert_eq!(pool.stats().n_queued, 4);
    pool.forget(&gone);
    assert_eq!((Arc::strong_count(&gone), pool.stats().n_queued), (1, 2));
}

/// Who starts from it again after it was forgotten wants it again.
#[test]
fn an_image_forgotten_and_used_again_is_one_like_any_other() {
    for pool in pools() {
        let image = image(b"again");
        let before = start(&pool, &image);
        pool.forget(&image);
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

/// A module is loaded, used and unloaded, for ever: what the pool remembers of it goes.
#[test]
fn what_is_known_of_images_that_are_gone_does_not_grow() {
    let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(65536), n(2)));
    let mut most = 0;
    let mut gone = Vec::new();
    for _ in 0..1000 {
        let image = image(b"once");
        let held = start(&pool, &image);
        pool.forget(&image);
        gone.push(Arc::downgrade(&image));
        drop(held);
        drop(image);
        // Whoever else has a `Weak` keeps the image's place in memory.
        gone.retain(|image| 1 < image.weak_count());
        most = gone.len().max(most);
    }
    assert_eq!(pool.stats().n_retired, 1000);
    assert!(most <= 64, "{most} remembered");
}
