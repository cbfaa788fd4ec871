//! Eviction of an image while slots that hold it are returned, and wanted.

use alloc::sync::Arc;

use super::super::ResetOn;
use super::explore::explore;
use super::world::{BATCH_OF_TWO, BYTES, World, config, join, pattern};

/// All uses of the image began before it was evicted: afterwards no slot holds it.
#[test]
fn no_slot_holds_an_evicted_image() {
    let other = pattern(2);
    explore(move || {
        for reset_on in [ResetOn::Return, BATCH_OF_TWO] {
            let gone = pattern(1);
            let world = World::new(config(3, 2).with_reset_on(reset_on));
            let begin = || {
                let slot = world.pool.try_acquire(Some(&gone.image), BYTES);
                let mut slot = slot.expect("room");
                world.write(&mut slot, &gone);
                slot
            };
            let (first, second) = (begin(), begin());
            world.end(begin());
            let threads = [
                world.spawn(move |world| world.end(first)),
                world.spawn(move |world| world.end(second)),
                {
                    let other = other.clone();
                    world.spawn(move |world| world.use_once(&other))
                },
                {
                    let gone = gone.clone();
                    world.spawn(move |world| world.pool.evict(&gone.image))
                },
            ];
            join(threads);
            assert_eq!(Arc::strong_count(&gone.image), 1, "{reset_on:?}");
            world.assert_at_rest(4);
            // It is an ordinary image again.
            world.use_once(&gone);
            world.assert_at_rest(5);
            world.assert_full_use(&other);
        }
    });
}

/// The slot that a thread waits for is dropped instead of returned: it gets the permit.
#[test]
fn a_thread_that_waits_for_an_evicted_slot_gets_another() {
    explore(move || {
        let image = pattern(1);
        let world = World::new(config(1, 1));
        let held = world.pool.try_acquire(Some(&image.image), BYTES);
        let mut held = held.expect("room");
        world.write(&mut held, &image);
        let again = || {
            let image = image.clone();
            world.spawn(move |world| world.use_once(&image))
        };
        let waiting = [again(), again()];
        let evicting = {
            let image = image.clone();
            world.spawn(move |world| world.pool.evict(&image.image))
        };
        world.end(held);
        join(waiting);
        join([evicting]);
        world.assert_at_rest(3);
        world.pool.evict(&image.image);
        assert_eq!(Arc::strong_count(&image.image), 1);
        assert_eq!(world.pool.stats().n_slots, 0);
        world.assert_full_use(&image);
    });
}
