//! Waiting threads are served in the order of arrival.

use alloc::sync::Arc;
use alloc::vec::Vec;

use shuttle::sync::Mutex;
use shuttle::thread;

use super::super::{AcquireError, ResetOn};
use super::explore::explore;
use super::world::{BATCH_OF_TWO, BYTES, World, config, join, pattern};

#[test]
fn the_first_to_wait_is_the_first_to_be_served() {
    let images = [pattern(1), pattern(2)];
    explore(move || {
        for reset_on in [ResetOn::Return, BATCH_OF_TWO] {
            let world = World::new(config(1, 1).with_reset_on(reset_on));
            let served: Arc<Mutex<Vec<usize>>> = Arc::default();
            let held = world.pool.try_acquire(Some(&images[0].image), BYTES);
            let mut held = held.expect("the first");
            world.write(&mut held, &images[0]);
            let mut threads = Vec::new();
            for (nth, image) in images.iter().enumerate() {
                let (image, served) = (image.clone(), Arc::clone(&served));
                threads.push(world.spawn(move |world| {
                    let slot = world.pool.acquire(Some(&image.image), BYTES);
                    let slot = slot.expect("a slot in the end");
                    served.lock().expect("not poisoned").push(nth);
                    world.use_slot(slot, &image);
                }));
                while world.pool.stats().n_waits <= nth as u64 {
                    thread::yield_now();
                }
            }
            // A newcomer does not overtake them, whenever the slot is returned.
            let (image, seen) = (images[0].clone(), Arc::clone(&served));
            threads.push(world.spawn(move |world| {
                match world.pool.try_acquire(Some(&image.image), BYTES) {
                    Ok(slot) => {
                        assert_eq!(*seen.lock().expect("not poisoned"), [0, 1], "overtaken");
                        world.use_slot(slot, &image);
                    }
                    Err(err) => assert_eq!(err, AcquireError::Exhausted { max_slots: 1 }),
                }
            }));
            world.end(held);
            join(threads);
            assert_eq!(*served.lock().expect("not poisoned"), [0, 1]);
            world.assert_full_use(&images[1]);
        }
    });
}

/// A slot was returned just before a thread joined the queue, which has not searched again
/// yet: a newcomer that could see the thread wait does not take that slot.
#[test]
fn a_newcomer_does_not_overtake_a_thread_that_is_joining() {
    let image = pattern(1);
    explore(move || {
        let world = World::new(config(1, 1));
        let n_served: Arc<Mutex<usize>> = Arc::default();
        let held = world.pool.try_acquire(Some(&image.image), BYTES);
        let mut held = held.expect("the first");
        world.write(&mut held, &image);
        let waiting = {
            let (image, n_served) = (image.clone(), Arc::clone(&n_served));
            world.spawn(move |world| {
                let slot = world.pool.acquire(Some(&image.image), BYTES);
                *n_served.lock().expect("not poisoned") += 1;
                world.use_slot(slot.expect("a slot in the end"), &image);
            })
        };
        let newcomer = {
            let image = image.clone();
            world.spawn(move |world| {
                for _ in 0..8 {
                    let n_before = *n_served.lock().expect("not poisoned");
                    let is_awaited = !world.pool.owner.shared.queue.0.is_empty();
                    let Ok(slot) = world.pool.try_acquire(Some(&image.image), BYTES) else {
                        continue;
                    };
                    let n_now = *n_served.lock().expect("not poisoned");
                    assert!(!is_awaited || n_before < n_now, "overtaken");
                    world.use_slot(slot, &image);
                }
            })
        };
        world.end(held);
        join([waiting, newcomer]);
        world.assert_full_use(&image);
    });
}
