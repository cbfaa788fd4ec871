//! The system refuses calls while threads wait: no slot, permit or thread is lost.

use shuttle::rand::Rng as _;

use super::super::{AcquireError, ResetOn};
use super::explore::explore;
use super::world::{BATCH_OF_TWO, BYTES, World, config, join, pattern};
use crate::os::Call;
use crate::testing::{self, Plan};

const ENOMEM: i32 = 12;
const EINVAL: i32 = 22;

/// One system thread runs all threads of a model, so that this affects all of them.
fn refuse(only: Option<Call>, skip: u64, fail: u64, code: i32) {
    testing::set(Some(Plan {
        skip,
        fail,
        only,
        code,
    }));
}

/// There is room for one slot only, though the pool may have three.
#[test]
fn threads_share_the_only_slot_that_there_is_room_for() {
    explore(move || {
        let world = World::new(config(3, 2));
        refuse(Some(Call::Mmap), 1, u64::MAX, ENOMEM);
        let threads = [0; 3].map(|_| {
            world.spawn(move |world| {
                // Without an image, only new slots are mapped.
                let slot = world.pool.acquire(None, BYTES);
                let mut slot = slot.expect("the slot of another thread");
                assert!(slot.as_slice().iter().all(|byte| *byte == 0));
                slot.as_mut_slice().fill(1);
            })
        });
        join(threads);
        testing::set(None);
        let stats = world.assert_at_rest(3);
        assert_eq!((stats.n_slots, stats.n_reserved), (1, 1), "{stats:?}");
        world.assert_full_use(&pattern(1));
    });
}

/// There is room for none: every thread fails, and none waits for another.
#[test]
fn threads_without_any_slot_fail() {
    explore(move || {
        let world = World::new(config(2, 1));
        refuse(Some(Call::Mmap), 0, u64::MAX, ENOMEM);
        let threads = [0; 3].map(|_| {
            world.spawn(move |world| {
                let slot = world.pool.acquire(None, BYTES);
                assert!(matches!(slot, Err(AcquireError::Slot(_))), "{slot:?}");
            })
        });
        join(threads);
        testing::set(None);
        let stats = world.assert_at_rest(0);
        assert_eq!(stats.n_slots, 0, "{stats:?}");
        world.assert_full_use(&pattern(1));
    });
}

/// Any calls in a row fail: starts are refused, or slots poisoned.
#[test]
fn no_place_is_lost_to_a_failure() {
    let images = [pattern(1), pattern(2)];
    explore(move || {
        let mut chance = shuttle::rand::thread_rng();
        let reset_on = [ResetOn::Return, BATCH_OF_TWO][chance.gen_range(0..2)];
        let world = World::new(config(2, 2).with_reset_on(reset_on));
        let code = [ENOMEM, EINVAL][chance.gen_range(0..2)];
        let (skip, fail) = (chance.gen_range(0..30), chance.gen_range(1..12));
        refuse(None, skip, fail, code);
        let threads = [0, 1, 0].map(|nth| {
            let image = images[nth].clone();
            world.spawn(
                move |world| match world.pool.acquire(Some(&image.image), BYTES) {
                    Ok(slot) => world.use_slot(slot, &image),
                    Err(err) => assert!(matches!(err, AcquireError::Slot(_)), "{err}"),
                },
            )
        });
        join(threads);
        testing::set(None);
        world.pool.drain();
        let stats = world.pool.stats();
        assert_eq!(stats.n_slots, stats.n_ready, "{stats:?}");
        world.assert_full_use(&images[1]);
    });
}
