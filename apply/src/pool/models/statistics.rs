//! Counters, read while threads change them.

use super::explore::explore;
use super::world::{World, config, join, n_resets, n_starts, pattern};
use crate::slot::{SlotConfig, Strategy};

#[test]
fn counters_sum_up() {
    let images = [pattern(1), pattern(2)];
    explore(move || {
        let world = World::new(config(2, 1));
        let users = [0, 1, 1].map(|nth| {
            let image = images[nth].clone();
            world.spawn(move |world| world.use_once(&image))
        });
        let mut n_before = 0;
        for _ in 0..5 {
            let stats = world.pool.stats();
            assert!(stats.n_slots <= 2, "{stats:?}");
            assert!(stats.n_ready + stats.n_queued <= 2, "{stats:?}");
            assert!(n_resets(&stats) <= n_starts(&stats), "{stats:?}");
            assert!(n_starts(&stats) <= 3, "{stats:?}");
            assert!(stats.n_waits <= 3, "{stats:?}");
            assert!(n_before <= n_starts(&stats), "{stats:?}");
            n_before = n_starts(&stats);
            shuttle::thread::yield_now();
        }
        join(users);
        let stats = world.assert_at_rest(3);
        assert_eq!(n_resets(&stats), 3, "{stats:?}");
        assert_eq!(stats.n_reserved, stats.n_slots, "{stats:?}");
        assert_eq!(stats.n_stolen, 0, "one shard: {stats:?}");
    });
}

/// The pool's sums are those of its slots, however their changes overlap; and what is kept
/// stays within the limit.
#[test]
fn resident_bytes_are_those_of_the_slots() {
    let images = [pattern(1), pattern(2)];
    explore(move || {
        for max_resident in [u64::MAX, 4096] {
            let mut config = config(3, 2).with_max_resident(max_resident);
            let slot: SlotConfig = config.slot;
            config.slot = slot.with_strategy(Strategy::Copy);
            let world = World::new(config);
            let users = [0, 1, 0].map(|nth| {
                let image = images[nth].clone();
                world.spawn(move |world| {
                    world.use_once(&image);
                    world.use_once(&image);
                })
            });
            join(users);
            world.assert_at_rest(6);
            let stats = world.pool.stats();
            let kept = stats.resident_bytes + stats.page_table_bytes;
            assert!(kept <= max_resident, "{stats:?}");
            // What evicting takes away is what was counted. The slots left are those whose
            // copied image was discarded for the limit: they hold none.
            for image in &images {
                world.pool.evict(&image.image);
            }
            let stats = world.pool.stats();
            assert!(stats.n_slots <= stats.n_discarded, "{stats:?}");
            assert_eq!(stats.resident_bytes, 0, "{stats:?}");
            assert_eq!(stats.page_table_bytes, 0, "{stats:?}");
            world.assert_full_use(&images[0]);
            let after = world.pool.stats();
            assert_eq!(after.n_blank, stats.n_blank + 3, "{stats:?}, {after:?}");
            assert_eq!(n_starts(&after), n_starts(&stats) + 3, "{after:?}");
        }
    });
}
