//! A process without free address space. Alone in its process, because other tests would
//! have none either.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod common;

extern crate alloc;

use core::num::NonZeroUsize;
use core::time::Duration;
use std::thread;

use wasm_meminit_apply::{AcquireError, Call, PoolConfig, SlotConfig, SlotError, SlotPool};

#[test]
fn the_address_space_limits_a_pool_too() {
    if common::PATH == common::Path::Portable {
        common::skip("no address space is reserved");
        return;
    }
    // A process has at most 2^47 bytes with four-level page tables.
    let slot = SlotConfig::new(1 << 43);
    let max_slots = NonZeroUsize::new(1000).expect("not zero");
    let pool = SlotPool::new(PoolConfig::new(slot, max_slots));
    let mut held = Vec::new();
    let err = loop {
        match pool.try_acquire(None, 1) {
            Ok(slot) => held.push(slot),
            Err(err) => break err,
        }
    };
    let AcquireError::Slot(SlotError::Os(err)) = err else {
        panic!("{err}");
    };
    assert_eq!(err.call(), Call::Mmap);
    let n_slots = u64::try_from(held.len()).expect("few");
    assert!((1..16).contains(&n_slots), "{n_slots} slots");

    // A returned slot serves both waiting and non-waiting starts.
    let returned = held.pop();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let timeout = Duration::from_secs(60);
            pool.acquire_timeout(None, 1, timeout).map(drop)
        });
        while pool.stats().n_waits == 0 {
            thread::yield_now();
        }
        drop(returned);
        assert_eq!(waiting.join().expect("no panic"), Ok(()));
    });
    pool.try_acquire(None, 1).expect("the same slot");
    assert_eq!(pool.stats().n_slots, n_slots);
}
