//! Waiting with a deadline: what a thread is handed as its deadline passes is not lost.

use core::time::Duration;

use super::super::{AcquireError, ResetOn};
use super::explore::explore;
use super::world::{BATCH_OF_TWO, BYTES, World, config, join, pattern};

/// The models decide by chance which deadline passes.
const SOON: Duration = Duration::from_secs(1);

#[test]
fn a_slot_is_not_lost_with_a_deadline() {
    let image = pattern(1);
    explore(move || {
        for reset_on in [ResetOn::Return, BATCH_OF_TWO] {
            let world = World::new(config(1, 1).with_reset_on(reset_on));
            let held = world.pool.try_acquire(Some(&image.image), BYTES);
            let mut held = held.expect("the first");
            world.write(&mut held, &image);
            let waiting = [0, 1].map(|_| {
                let image = image.clone();
                world.spawn(move |world| {
                    let slot = world.pool.acquire_timeout(Some(&image.image), BYTES, SOON);
                    match slot {
                        Ok(slot) => world.use_slot(slot, &image),
                        Err(err) => assert_eq!(err, AcquireError::TimedOut { max_slots: 1 }),
                    }
                })
            });
            // One that has all the time in the world must not wait for the others' deadlines.
            let patient = {
                let image = image.clone();
                world.spawn(move |world| world.use_once(&image))
            };
            world.end(held);
            join(waiting);
            join([patient]);
            let stats = world.pool.stats();
            assert_eq!(stats.n_reserved, 1, "{stats:?}");
            assert_eq!(stats.n_slots, stats.n_ready + stats.n_queued, "{stats:?}");
            world.assert_full_use(&image);
        }
    });
}
