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
            for nth in 0..2 {
                let (image, served) = (images[nth].clone(), Arc::clone(&served));
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
