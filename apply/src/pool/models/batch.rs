//! Resets of many slots at once, while threads start and end uses.

use super::explore::explore;
use super::world::{BATCH_OF_TWO, World, config, join, n_resets, pattern};

#[test]
fn queued_slots_are_reset_before_their_next_uses() {
    let images = [pattern(1), pattern(2)];
    explore(move || {
        for n_shards in [1, 2] {
            let world = World::new(config(2, n_shards).with_reset_on(BATCH_OF_TWO));
            let users = [0, 1, 0].map(|nth| {
                let image = images[nth].clone();
                world.spawn(move |world| {
                    world.use_once(&image);
                    world.use_once(&image);
                })
            });
            let drainer = world.spawn(|world| {
                world.pool.drain();
                world.pool.drain();
            });
            join(users);
            join([drainer]);
            world.assert_at_rest(6);
            world.pool.drain();
            let stats = world.assert_at_rest(6);
            assert_eq!(stats.n_queued, 0, "{stats:?}");
            assert_eq!(n_resets(&stats), 6, "{stats:?}");
            world.assert_full_use(&images[1]);
        }
    });
}
