//! Objects may be freed in any order: what others need of them stays alive.

use core::ptr;

use wasm_meminit_c::opaque::{Image, Module, Pool, Slot};
use wasm_meminit_c::types::{PoolConfig, PoolStats, Status};

use crate::support::{
    HYBRID, base, contents, created, instantiate, memory, message, module, ok, slot, slot_config,
    take, text,
};

fn pool(max_slots: u64) -> *mut Pool {
    pool_with(max_slots, 0, 0)
}

fn pool_with(max_slots: u64, batch: u32, strategy: u32) -> *mut Pool {
    let mut config = PoolConfig {
        struct_size: 0,
        max_slots: 0,
        max_resident_bytes: 0,
        n_shards: 1,
        batch: 1,
    };
    ok(c!(wasm_meminit_pool_config_init(
        &mut config,
        size_of::<PoolConfig>()
    )));
    assert_eq!((config.max_slots, config.batch), (1000, 0));
    config.max_slots = max_slots;
    config.batch = batch;
    let mut slots = slot_config();
    slots.strategy = strategy;
    created(|it| c!(wasm_meminit_pool_new(&config, &slots, it)))
}

fn acquire(pool: *const Pool, module: *const Module) -> *mut Slot {
    created(|it| c!(wasm_meminit_pool_acquire_memory(pool, module, 0, 0, 0, it)))
}

fn stats(pool: *const Pool) -> PoolStats {
    let mut stats = PoolStats {
        struct_size: size_of::<PoolStats>(),
        n_hits: 9,
        n_maps: 9,
        n_blank: 9,
        n_waits: 9,
        n_resets: 9,
        n_discarded: 9,
        n_poisoned: 9,
        n_slots: 9,
        n_ready: 9,
        n_queued: 9,
        resident_bytes: 9,
        page_table_bytes: 9,
        image_bytes: 9,
    };
    ok(c!(wasm_meminit_pool_get_stats(pool, &mut stats)));
    stats
}

#[test]
fn a_slot_outlives_its_module_and_its_image() {
    let module = module(HYBRID);
    let image: *mut Image = created(|it| c!(wasm_meminit_module_get_image(module, 0, it)));
    let slot = slot();
    ok(instantiate(module, slot, 0));
    c!(wasm_meminit_module_free(module));
    ok(c!(wasm_meminit_slot_reset(slot, ptr::null_mut())));
    for _ in 0..2 {
        ok(c!(wasm_meminit_slot_start(slot, image, 65536)));
        assert_eq!(contents(slot)[1024..1029], *b"baked");
        assert_eq!(contents(slot)[..8], [0; 8]);
        contents(slot).fill(7);
        ok(c!(wasm_meminit_slot_reset(slot, ptr::null_mut())));
    }
    c!(wasm_meminit_image_free(image));
    ok(c!(wasm_meminit_slot_start(slot, ptr::null(), 65536)));
    assert!(contents(slot).iter().all(|byte| *byte == 0));
    c!(wasm_meminit_slot_free(slot));
}

#[test]
fn a_slot_of_a_pool_outlives_the_pool() {
    let (module, pool) = (module(HYBRID), pool(1));
    let slot = acquire(pool, module);
    assert_eq!(c!(wasm_meminit_slot_max_bytes(slot)), 4 << 16);
    let full = |it| c!(wasm_meminit_pool_acquire(pool, ptr::null(), 0, 0, it));
    assert_eq!(full(&mut ptr::null_mut()), Status::Exhausted);
    let late = |it| c!(wasm_meminit_pool_acquire(pool, ptr::null(), 0, 1, it));
    assert_eq!(late(&mut ptr::null_mut()), Status::TimedOut);
    assert!(message().contains("timed out"), "{}", message());
    c!(wasm_meminit_pool_free(pool));
    ok(instantiate(module, slot, 100));
    c!(wasm_meminit_module_free(module));
    assert_eq!(contents(slot)[100..108], *b"replayed");
    ok(c!(wasm_meminit_slot_grow(slot, 2 << 16)));
    contents(slot).fill(1);
    c!(wasm_meminit_slot_free(slot));
}

/// Regression: resets of a batch that had to be done one by one were not counted.
#[test]
fn resets_of_all_strategies_are_counted() {
    for strategy in 0..=4 {
        let pool = pool_with(2, 2, strategy);
        for _ in 0..5 {
            let slots = [(); 2].map(|()| {
                created(|it| c!(wasm_meminit_pool_acquire(pool, ptr::null(), 65536, 0, it)))
            });
            for slot in slots {
                contents(slot)[0] = 7;
                c!(wasm_meminit_slot_free(slot));
            }
        }
        ok(c!(wasm_meminit_pool_drain(pool)));
        assert_eq!(stats(pool).n_resets, 10, "strategy {strategy}");
        c!(wasm_meminit_pool_free(pool));
    }
}

#[test]
fn a_pool_starts_and_resets_its_slots_itself() {
    let (module, pool) = (module(HYBRID), pool(2));
    for at in [100, 200] {
        let slot = acquire(pool, module);
        let reset = c!(wasm_meminit_slot_reset(slot, ptr::null_mut()));
        assert_eq!(reset, Status::WrongState);
        assert!(message().contains("hint: free the slot"), "{}", message());
        let start = c!(wasm_meminit_slot_start(slot, ptr::null(), 65536));
        assert_eq!(start, Status::WrongState);
        ok(instantiate(module, slot, at));
        assert_eq!(contents(slot)[100] == b'r', at == 100);
        contents(slot).fill(7);
        // The next instance would see what this one wrote.
        assert_eq!(instantiate(module, slot, at), Status::WrongState);
        assert!(message().contains("hint: free the slot"), "{}", message());
        assert!(contents(slot).iter().all(|byte| *byte == 7));
        c!(wasm_meminit_slot_free(slot));
    }
    let now = stats(pool);
    assert_eq!((now.n_hits, now.n_blank, now.n_resets), (1, 1, 2));
    assert_eq!((now.n_slots, now.n_ready), (1, 1));

    // A slot that holds another image, or none, is not this module's.
    let plain = created(|it| c!(wasm_meminit_pool_acquire(pool, ptr::null(), 65536, -1, it)));
    assert_eq!(instantiate(module, plain, 0), Status::InvalidArgument);
    assert!(
        message().contains("not acquired with its image"),
        "{}",
        message()
    );
    c!(wasm_meminit_slot_free(plain));

    let image = created(|it| c!(wasm_meminit_module_get_image(module, 0, it)));
    c!(wasm_meminit_slot_free(acquire(pool, module)));
    ok(c!(wasm_meminit_pool_evict(pool, image)));
    ok(c!(wasm_meminit_pool_drain(pool)));
    assert_eq!(stats(pool).n_slots, 1); // the one without an image
    c!(wasm_meminit_image_free(image));
    c!(wasm_meminit_module_free(module));
    c!(wasm_meminit_pool_free(pool));
}

#[test]
fn an_image_of_a_program_that_has_run() {
    let mut before = vec![0; 3 << 16];
    before[70000] = 5;
    let image: *mut Image = created(|it| {
        c!(wasm_meminit_image_capture(
            before.as_ptr(),
            before.len(),
            it
        ))
    });
    let slot = slot();
    let start = |bytes| c!(wasm_meminit_slot_start(slot, image, bytes));
    assert_eq!(start(1 << 16), Status::DoesNotFit);
    ok(start(3 << 16));
    assert_eq!(contents(slot), before);
    ok(c!(wasm_meminit_slot_zero(slot)));
    assert!(contents(slot).iter().all(|byte| *byte == 0));
    c!(wasm_meminit_image_free(image));
    c!(wasm_meminit_slot_free(slot));
    let empty: *mut Image = created(|it| c!(wasm_meminit_image_capture(ptr::null(), 0, it)));
    c!(wasm_meminit_image_free(empty));
}

#[test]
fn a_module_in_two_parts_and_its_initial_size() {
    let (module, slot) = (module(HYBRID), slot());
    let mut larger = memory(slot);
    larger.bytes = 2 << 16;
    ok(c!(wasm_meminit_place_images(module, &larger, 1)));
    assert_eq!(c!(wasm_meminit_slot_len(slot)), 2 << 16);
    assert_eq!(contents(slot)[1024..1029], *b"baked");
    ok(c!(wasm_meminit_slot_reset(slot, ptr::null_mut())));
    larger.bytes = 100;
    let status = c!(wasm_meminit_instantiate(module, &larger, 1, &base(0), 1));
    assert_eq!(status, Status::DoesNotFit);
    c!(wasm_meminit_slot_free(slot));
    c!(wasm_meminit_module_free(module));
}

#[test]
fn rewritten_modules_and_texts() {
    let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 8) "gone"))"#);
    let wasm = wasm.expect("valid");
    let stripped = take(created(|it| {
        c!(wasm_meminit_strip(wasm.as_ptr(), wasm.len(), it))
    }));
    let contains = |wasm: &[u8], text: &[u8]| wasm.windows(text.len()).any(|it| it == text);
    assert!(contains(&wasm, b"gone") && !contains(&stripped, b"gone"));
    let external = take(created(|it| {
        let (data, len) = (stripped.as_ptr(), stripped.len());
        c!(wasm_meminit_externalize(data, len, c"host".as_ptr(), it))
    }));
    assert!(contains(&external, b"\x04host\x07memory0"));
    let system = take(created(|it| c!(wasm_meminit_capabilities(it))));
    assert!(contains(&system, b"images in:"));
    assert_eq!(text(c!(wasm_meminit_version())), env!("CARGO_PKG_VERSION"));
    let has_guards = u32::from(cfg!(unix));
    assert_eq!(c!(wasm_meminit_has_guards()), has_guards);
}
