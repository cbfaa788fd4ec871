//! The pool is dropped while its slots are returned.

use alloc::sync::Arc;

use super::super::ResetOn;
use super::explore::explore;
use super::world::{BATCH_OF_TWO, BYTES, World, config, join, pattern};

#[test]
fn every_slot_of_a_dropped_pool_is_unmapped() {
    explore(move || {
        for reset_on in [ResetOn::Return, BATCH_OF_TWO] {
            let image = pattern(1);
            let config = config(3, 2).with_reset_on(reset_on);
            let world = World::new(config.with_max_resident(4096));
            let shared = Arc::clone(&world.pool.owner.shared);
            let begin = || {
                let slot = world.pool.try_acquire(Some(&image.image), BYTES);
                let mut slot = slot.expect("room");
                world.write(&mut slot, &image);
                slot
            };
            let (first, second) = (begin(), begin());
            world.end(begin());
            // No `World` in the threads: it has a handle of the pool.
            let threads = [
                shuttle::thread::spawn(move || drop(first)),
                shuttle::thread::spawn(move || drop(second)),
                world.spawn(|world| {
                    world.pool.drain();
                }),
            ];
            drop(world);
            join(threads);
            assert_eq!(Arc::strong_count(&image.image), 1, "{reset_on:?}");
            let stats = shared.stats();
            assert_eq!(stats.n_slots, 0, "{stats:?}");
            assert_eq!(stats.n_ready + stats.n_queued, 0, "{stats:?}");
            assert_eq!(stats.resident_bytes, 0, "{stats:?}");
            assert_eq!(stats.page_table_bytes, 0, "{stats:?}");
            assert_eq!(Arc::strong_count(&shared), 1, "only this one");
        }
    });
}
