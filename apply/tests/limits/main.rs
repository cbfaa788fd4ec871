//! Pools at each limit of a process: mappings, descriptors, address space, data, the
//! heap. The system itself refuses; nothing is injected.
//!
//! A pool with ready slots of one image keeps serving that image and others. If no slot
//! can be returned, it reports an error; if one can, it waits. No slot is poisoned unless
//! a `MAP_FIXED` failed, and after the limit is lifted everything works as before. Each
//! part runs in its own process.
//!
//! If resets replace mappings, ready slots hold no images, and none of this is
//! guaranteed.
#![cfg(all(
    target_os = "linux",
    any(
        all(feature = "test-portable", feature = "test-unix"),
        not(any(feature = "test-portable", feature = "test-unix"))
    )
))]

extern crate alloc;

#[path = "../common/mod.rs"]
mod common;
mod stage;

use alloc::sync::Arc;
use core::time::Duration;
use std::sync::Barrier;
use std::thread;

use rustix::process::Resource;
use wasm_meminit_apply::{
    AcquireError, ImageSource, MemoryImage, MemorySlot, PooledSlot, ResetOn, SlotConfig, SlotError,
};
use wasm_meminit_image_builder::Image;
use wasm_meminit_test_support::descriptors::close_from;
use wasm_meminit_test_support::images::n;
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::test_name;

use crate::common::{BEST, Numbers, PAGE, bytes, skip};
use crate::stage::{
    LEN, MAX_SLOTS, Stage, ballast, fill_mappings, leave_room, limited, states, status,
};

const LONG: Duration = Duration::from_secs(30);
const ENOMEM: i32 = 12;
const EMFILE: i32 = 24;

#[test]
fn mappings() {
    let passed = in_process(test_name!(), "one thread", || {
        let mut filler = Vec::with_capacity(200_000);
        for reset_on in [ResetOn::Return, ResetOn::Batch(n(3))] {
            for n_left in [0, 2, 4, 8, 16] {
                let mut stage = Stage::new(1, reset_on);
                let spare = ballast();
                if !fill_mappings(&mut filler, n_left) {
                    return skip("this system does not limit mappings");
                }
                stage.serve_each();
                stage.serve_all(&[ENOMEM]);
                stage.serve_each();
                leave_room(&mut filler);
                stage.is_as_before();
                stage.finish(&format!("{n_left} mappings left, {reset_on:?}"), 0);
                drop(spare);
            }
        }
        true
    });
    assert!(passed);
}

/// A slot that could be made can be started: its reservation may have merged with a neighbour,
/// so that its first memory takes more mappings than it did.
#[test]
fn a_new_slot_has_room_for_a_memory() {
    let passed = in_process(test_name!(), "child", || {
        let config = SlotConfig::new(bytes(LEN));
        let mut filler = Vec::with_capacity(200_000);
        let mut n_made = [0; 2];
        for n_left in 0..16 {
            let spare = ballast();
            if !fill_mappings(&mut filler, n_left) {
                return skip("this system does not limit mappings");
            }
            let mut made = MemorySlot::new(&config);
            let started = match &mut made {
                Ok(slot) => slot.instantiate(None, bytes(LEN)),
                Err(_) => Ok(()),
            };
            leave_room(&mut filler);
            drop(spare);
            assert_eq!(started, Ok(()), "{n_left} mappings left");
            n_made[usize::from(made.is_ok())] += 1;
        }
        assert!(!n_made.contains(&0), "{n_made:?}");
        true
    });
    assert!(passed);
}

/// Starts that the system refuses leak no address space.
#[test]
fn refused_starts_leak_no_addresses() {
    let passed = in_process(test_name!(), "child", || {
        let stage = Stage::new(1, ResetOn::Return);
        let spare = ballast();
        let mut filler = Vec::with_capacity(200_000);
        if !fill_mappings(&mut filler, 0) {
            return skip("this system does not limit mappings");
        }
        let mut held = Vec::with_capacity(MAX_SLOTS);
        while let Ok(slot) = stage.start(1) {
            held.push(slot);
        }
        let before = status("VmSize");
        for nth in 0..1000 {
            let refused = stage.start(nth % 3).map(drop);
            assert!(matches!(refused, Err(AcquireError::Slot(_))), "{refused:?}");
        }
        let after = status("VmSize");
        drop(filler);
        drop(spare);
        assert!(after <= before + bytes(LEN), "{before} to {after} bytes");
        true
    });
    assert!(passed);
}

#[test]
fn descriptors() {
    let passed = in_process(test_name!(), "one thread", || {
        for knows_page_map in [true, false] {
            let mut stage = Stage::new(1, ResetOn::Return);
            if !knows_page_map {
                // Like a program that closes descriptors it does not know: the images'
                // files have lower numbers.
                assert!(close_from(900));
            }
            let [state, _] = states();
            let captured = Image::capture(&state).expect("small");
            let late = limited(Resource::Nofile, 0, || {
                stage.serve_each();
                stage.serve_all(&[]);
                let late = Arc::new(MemoryImage::new(captured.as_ref()).expect("the heap"));
                assert_eq!(late.source(), ImageSource::Heap);
                assert_eq!(late.fallback().expect("refused").code(), EMFILE);
                assert!(MemoryImage::in_file(captured.as_ref()).is_err());
                let mut slot = stage
                    .pool
                    .try_acquire(Some(&late), bytes(LEN))
                    .expect("ready");
                stage.use_up(&mut slot, 1);
                late
            });
            let file = Arc::new(late.to_file().expect("descriptors again"));
            assert_eq!(file.source(), BEST);
            for image in [&late, &file] {
                let slot = stage.pool.try_acquire(Some(image), bytes(LEN));
                stage.use_up(&mut slot.expect("ready"), 1);
            }
            stage.is_as_before();
            stage.finish("no descriptors", 0);
        }
        true
    });
    assert!(passed);
}

/// Returns limits that leave a little room, and none.
fn margins(used: u64) -> [u64; 4] {
    [2 * bytes(LEN), bytes(LEN), bytes(PAGE), 0].map(|margin| used + margin)
}

/// Limits that the process already exceeds: `MAP_FIXED` fails, and what it should have
/// replaced is lost. Starts that succeed have the right contents, the others get an
/// error, and no lost slot is used again.
#[test]
fn less_than_what_is_in_use() {
    for (resource, name) in [(Resource::As, "VmSize"), (Resource::Data, "VmData")] {
        for nth in 0..3 {
            let passed = in_process(test_name!(), &format!("{name} {nth}"), || {
                let mut stage = Stage::new(1, ResetOn::Return);
                let spare = ballast();
                let used = status(name);
                let max = [used - bytes(PAGE), used - bytes(LEN), used / 2][nth];
                limited(resource, max, || {
                    for nth in 0..60 {
                        match stage.start(nth * nth % 3) {
                            Ok(mut slot) => {
                                stage.use_up(&mut slot, nth * nth % 3);
                                stage.counts.n_served += 1;
                            }
                            Err(AcquireError::Slot(SlotError::Os(_))) => {
                                stage.counts.n_refused += 1;
                            }
                            Err(err) => panic!("{err}"),
                        }
                    }
                });
                let n_poisoned = stage.pool.stats().n_poisoned;
                // Each costs a slot, of which there were only so many.
                assert!(n_poisoned <= bytes(MAX_SLOTS), "{n_poisoned}");
                stage.is_as_before();
                drop(spare);
                eprintln!("{name} {nth}: {}, {n_poisoned} poisoned", stage.counts);
                true
            });
            assert!(passed);
        }
    }
}

#[test]
fn addresses() {
    limit_of_bytes(test_name!(), Resource::As, "VmSize");
}

#[test]
fn data() {
    limit_of_bytes(test_name!(), Resource::Data, "VmData");
}

#[track_caller]
fn limit_of_bytes(test: &str, resource: Resource, name: &str) {
    for nth in 0..4 {
        let passed = in_process(test, &format!("{nth}"), || {
            let mut stage = Stage::new(1, ResetOn::Return);
            let spare = ballast();
            let max = margins(status(name))[nth];
            limited(resource, max, || {
                stage.serve_each();
                stage.serve_all(&[ENOMEM]);
                stage.serve_each();
            });
            stage.is_as_before();
            stage.finish(&format!("{resource:?} of margin {nth}"), 0);
            drop(spare);
            true
        });
        assert!(passed);
    }
}

/// Neither address space nor a free byte on the heap.
#[test]
fn heap() {
    for part in ["starts", "waits", "waits again"] {
        let passed = in_process(test_name!(), part, || {
            let mut stage = Stage::new(1, ResetOn::Return);
            let mut held = Vec::with_capacity(MAX_SLOTS);
            let mut results = Vec::with_capacity(100);
            let mut hoard: Vec<Vec<u8>> = Vec::with_capacity(1 << 20);
            if part == "waits again" {
                // From now on the queue has room; only the thread's own bookkeeping for
                // waiting is new.
                let all: Vec<_> = (0..MAX_SLOTS).map(|_| stage.start(1)).collect();
                assert!(all.iter().all(Result::is_ok));
                let image = stage.pictures[1].0.as_ref();
                let late = stage
                    .pool
                    .acquire_timeout(image, bytes(LEN), Duration::ZERO);
                assert!(matches!(late, Err(AcquireError::TimedOut { .. })));
            }
            let size = status("VmSize");
            limited(Resource::As, size, || {
                take_heap(&mut hoard);
                if part != "starts" {
                    while let Ok(slot) = stage.start(1) {
                        held.push(slot);
                    }
                    let image = stage.pictures[1].0.as_ref();
                    let wait = Duration::from_millis(5);
                    let late = stage.pool.acquire_timeout(image, bytes(LEN), wait);
                    results.push(late.map(drop));
                    held.clear();
                }
                for nth in 0..30 {
                    let started = stage.start(nth % 3).map(|mut slot| {
                        stage.use_up(&mut slot, nth % 3);
                    });
                    results.push(started);
                }
                while let Ok(slot) = stage.start(held.len() % 3) {
                    held.push(slot);
                }
                held.clear();
                hoard.clear();
            });
            for result in results {
                match result {
                    Ok(()) => stage.counts.n_served += 1,
                    Err(AcquireError::Slot(SlotError::Os(err))) if err.code() == ENOMEM => {
                        stage.counts.n_refused += 1;
                    }
                    Err(AcquireError::TimedOut { .. }) if part != "starts" => {}
                    Err(err) => panic!("{err}"),
                }
            }
            assert!(30 <= stage.counts.n_served, "{}", stage.counts);
            stage.is_as_before();
            stage.finish(&format!("no heap, {part}"), 0);
            true
        });
        assert!(passed);
    }
}

/// Allocates all that the allocator has, to the last few bytes.
fn take_heap(hoard: &mut Vec<Vec<u8>>) {
    for shift in (3..24).rev() {
        loop {
            let mut piece = Vec::new();
            if piece.try_reserve_exact(1 << shift).is_err() {
                break;
            }
            assert!(hoard.len() < hoard.capacity());
            hoard.push(piece);
        }
    }
}

/// The limit that the threads share.
#[derive(Clone, Copy, Debug)]
enum Limit {
    Mappings,
    Descriptors,
    Addresses,
    Data,
}

#[test]
fn four_threads() {
    use Limit::{Addresses, Data, Descriptors, Mappings};

    for limit in [Mappings, Descriptors, Addresses, Data] {
        let n_starts = match limit {
            // A slot is lost only if two threads meet within microseconds.
            Mappings => 3000,
            _ => 300,
        };
        for n_shards in [1, 4] {
            let part = format!("{limit:?}, {n_shards} shards");
            let passed = in_process(test_name!(), &part, || {
                let mut stage = Stage::new(n_shards, ResetOn::Return);
                let mut filler = Vec::with_capacity(200_000);
                let (ready, go) = (Barrier::new(5), Barrier::new(5));
                let [mut n_served, mut n_refused, mut n_lost] = [0; 3];
                thread::scope(|scope| {
                    let threads: Vec<_> = (0..4)
                        .map(|nth| {
                            let (stage, ready, go) = (&stage, &ready, &go);
                            scope.spawn(move || {
                                let spare = ballast();
                                ready.wait();
                                go.wait();
                                let counts = hammer(stage, nth, n_starts);
                                drop(spare);
                                counts
                            })
                        })
                        .collect();
                    let spare = ballast();
                    ready.wait();
                    let all = || {
                        go.wait();
                        for thread in threads {
                            let [served, refused, lost] = thread.join().expect("no panic");
                            n_served += served;
                            n_refused += refused;
                            n_lost += lost;
                        }
                    };
                    match limit {
                        Mappings => {
                            fill_mappings(&mut filler, 2);
                            all();
                            filler.clear();
                        }
                        Descriptors => limited(Resource::Nofile, 0, all),
                        Addresses => limited(Resource::As, status("VmSize"), all),
                        Data => limited(Resource::Data, status("VmData"), all),
                    }
                    drop(spare);
                });
                stage.counts.n_served = n_served;
                stage.counts.n_refused = n_refused;
                // For waiting threads, a slot was ready at any time, or was returned.
                assert_eq!(n_lost, 0, "{:?}", stage.pool.stats());
                stage.is_as_before();
                stage.finish(&part, 0);
                true
            });
            assert!(passed);
        }
    }
}

/// Runs the starts of one thread, from any image. Returns how many were served, how many
/// non-waiting starts were refused, and how many waiting ones.
fn hammer(stage: &Stage, nth: u64, n_starts: usize) -> [u64; 3] {
    let mut numbers = Numbers(nth);
    let mut counts = [0; 3];
    let mut held: Option<PooledSlot> = None;
    for _ in 0..n_starts {
        let which = numbers.pick(&[1, 1, 1, 2, 0]);
        let image = stage.pictures[which].0.as_ref();
        // A thread that holds a slot does not wait: that could deadlock.
        let holder = held.take();
        let waits = holder.is_none();
        let started = match waits {
            false => stage.pool.try_acquire(image, bytes(LEN)),
            true => stage.pool.acquire_timeout(image, bytes(LEN), LONG),
        };
        drop(holder);
        match started {
            Ok(mut slot) => {
                stage.use_up(&mut slot, which);
                counts[0] += 1;
                held = numbers.one_in(3).then_some(slot);
            }
            Err(AcquireError::Exhausted { .. }) if !waits => {}
            Err(AcquireError::Slot(SlotError::Os(err))) => {
                assert_eq!(err.code(), ENOMEM, "{err}");
                counts[if waits { 2 } else { 1 }] += 1;
            }
            Err(err) => panic!("{err}, {:?}", stage.pool.stats()),
        }
    }
    counts
}
