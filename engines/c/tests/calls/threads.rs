//! Calls from several threads: each has its own last error, and one call at a time uses a slot.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Barrier;
use std::thread;

use wasm_meminit_c::opaque::{Host, Pool, Slot};
use wasm_meminit_c::types::Status;

use crate::support::{HYBRID, artifact, contents, created, instantiate, message, module, ok, slot};

#[test]
fn each_thread_has_its_own_last_error() {
    assert_eq!(
        c!(wasm_meminit_pool_drain(ptr::null())),
        Status::NullPointer
    );
    let other = thread::spawn(|| {
        let before = message();
        assert_eq!(
            c!(wasm_meminit_slot_grow(ptr::null_mut(), 0)),
            Status::NullPointer
        );
        (before, message())
    });
    let other = other.join().expect("no panic");
    assert_eq!(other, (String::new(), "`slot` is null".to_owned()));
    assert_eq!(message(), "`pool` is null");
}

/// One slot, and threads that do not wait for each other: each call either happens as a whole,
/// or fails with `Busy` or the state that it found.
#[test]
fn calls_that_overlap_are_refused() {
    let slot = slot();
    let address = slot.expose_provenance();
    let (n_started, n_reset, n_busy) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let is_done = AtomicBool::new(false);
    let n_working = AtomicUsize::new(3);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let slot = ptr::with_exposed_provenance_mut::<Slot>(address);
                for _ in 0..300 {
                    for (status, count) in [
                        (
                            c!(wasm_meminit_slot_start(slot, ptr::null(), 1 << 16)),
                            &n_started,
                        ),
                        (
                            c!(wasm_meminit_slot_grow(slot, 2 << 16)),
                            &AtomicU64::new(0),
                        ),
                        (c!(wasm_meminit_slot_reset(slot, ptr::null_mut())), &n_reset),
                    ] {
                        match status {
                            Status::Ok => count.fetch_add(1, Ordering::Relaxed),
                            Status::Busy => n_busy.fetch_add(1, Ordering::Relaxed),
                            Status::WrongState => 0,
                            other => panic!("{other:?}: {}", message()),
                        };
                    }
                }
                if n_working.fetch_sub(1, Ordering::AcqRel) == 1 {
                    is_done.store(true, Ordering::Release);
                }
            });
        }
        let slot = ptr::with_exposed_provenance_mut::<Slot>(slot.expose_provenance());
        while !is_done.load(Ordering::Acquire) {
            let len = c!(wasm_meminit_slot_len(slot));
            assert!([0, 1 << 16, 2 << 16].contains(&len), "{len}");
            assert!(!c!(wasm_meminit_slot_data(slot)).is_null());
        }
    });
    let in_use = u64::from(c!(wasm_meminit_slot_len(slot)) != 0);
    let (n_started, n_reset) = (n_started.into_inner(), n_reset.into_inner());
    assert_eq!(n_started, n_reset + in_use);
    assert!(0 < n_started);
    c!(wasm_meminit_slot_free(slot));
}

/// Loading only reads the host: threads do it at the same time.
#[test]
fn threads_load_for_one_host() {
    let host: *mut Host = created(|it| c!(wasm_meminit_host_new(it)));
    // Many declarations, so that one call takes long enough for another one to overlap.
    for nth in 0..500 {
        let name = format!("{nth}\0");
        let (module, name) = (c"env".as_ptr(), name.as_ptr().cast());
        ok(c!(wasm_meminit_host_add_global(host, module, name, 0, 0)));
    }
    let artifact = artifact(HYBRID);
    let address = host.expose_provenance();
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let host = ptr::with_exposed_provenance(address);
                let (data, len) = (artifact.as_ptr(), artifact.len());
                barrier.wait();
                for _ in 0..500 {
                    let module = created(|it| c!(wasm_meminit_module_load(data, len, host, it)));
                    c!(wasm_meminit_module_free(module));
                }
            });
        }
    });
    c!(wasm_meminit_host_free(host));
}

#[test]
fn a_pool_serves_many_threads() {
    let module = module(HYBRID);
    let pool: *mut Pool = created(|it| c!(wasm_meminit_pool_new(ptr::null(), ptr::null(), it)));
    let addresses = (module.expose_provenance(), pool.expose_provenance());
    thread::scope(|scope| {
        for nth in 0..4 {
            scope.spawn(move || {
                let module = ptr::with_exposed_provenance(addresses.0);
                let pool = ptr::with_exposed_provenance(addresses.1);
                for at in (nth..100).map(|it| 16 * it) {
                    let slot = created(|it| {
                        c!(wasm_meminit_pool_acquire_memory(pool, module, 0, 0, -1, it))
                    });
                    ok(instantiate(module, slot, 2000 + at));
                    let memory = contents(slot);
                    let n_nonzero = memory.iter().filter(|byte| **byte != 0).count();
                    assert_eq!(n_nonzero, "baked".len() + "replayed".len());
                    memory.fill(7);
                    c!(wasm_meminit_slot_free(slot));
                }
            });
        }
    });
    c!(wasm_meminit_pool_free(pool));
    c!(wasm_meminit_module_free(module));
}
