//! Slots go from one thread to the next.

use alloc::vec::Vec;

use super::super::ResetOn;
use super::explore::explore;
use super::world::{BATCH_OF_TWO, BYTES, World, config, join, n_resets, pattern};

#[test]
fn the_only_slot_goes_to_the_next_thread() {
    let images = [pattern(1), pattern(2)];
    explore(move || {
        for reset_on in [ResetOn::Return, BATCH_OF_TWO] {
            let world = World::new(config(1, 1).with_reset_on(reset_on));
            let threads = [0, 1, 0].map(|nth| {
                let image = images[nth].clone();
                world.spawn(move |world| world.use_once(&image))
            });
            join(threads);
            let stats = world.assert_at_rest(3);
            assert_eq!(stats.n_reserved, 1, "{stats:?}");
            assert!(stats.n_waits <= 3, "{stats:?}");
            assert_eq!(n_resets(&stats) + stats.n_queued, 3, "{stats:?}");
            world.assert_full_use(&images[0]);
        }
    });
}

/// With two shards: the thread that ends a use is another one than began it, and its home
/// shard may be another one than the slot's.
#[test]
fn slots_are_ended_by_other_threads() {
    let images = [pattern(1), pattern(2)];
    explore(move || {
        let world = World::new(config(2, 2));
        let threads: Vec<_> = (0..4_usize)
            .map(|nth| {
                let image = images[nth % 2].clone();
                world.spawn(move |world| {
                    let slot = world.pool.acquire(Some(&image.image), BYTES);
                    let mut slot = slot.expect("a slot in the end");
                    world.write(&mut slot, &image);
                    if nth < 2 {
                        join([world.spawn(move |world| world.end(slot))]);
                    } else {
                        world.end(slot);
                    }
                })
            })
            .collect();
        join(threads);
        let stats = world.assert_at_rest(4);
        assert!(stats.n_reserved <= 2, "{stats:?}");
        assert_eq!(n_resets(&stats), 4, "{stats:?}");
        world.assert_full_use(&images[0]);
    });
}
