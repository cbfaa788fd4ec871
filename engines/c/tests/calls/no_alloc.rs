//! The calls of each instance allocate nothing.

use core::ptr;

use allocation_counter::measure;

use crate::support::{HYBRID, base, created, instantiate, memory, module, ok, slot};

#[test]
fn a_start_a_growth_and_a_reset_allocate_nothing() {
    let (module, slot) = (module(HYBRID), slot());
    let cycle = || {
        ok(instantiate(module, slot, 100));
        ok(c!(wasm_meminit_slot_grow(slot, 2 << 16)));
        ok(c!(wasm_meminit_slot_reset(slot, ptr::null_mut())));
        ok(c!(wasm_meminit_place_images(module, &memory(slot), 1)));
        ok(c!(wasm_meminit_slot_reset(slot, ptr::null_mut())));
    };
    cycle(); // The first use maps the image, and tries system calls.
    assert_eq!(measure(cycle).count_total, 0);

    // From a pool, the object of the slot.
    let pool = created(|it| c!(wasm_meminit_pool_new(ptr::null(), ptr::null(), it)));
    let global = base(100);
    let cycle = || {
        let slot = created(|it| c!(wasm_meminit_pool_acquire_memory(pool, module, 0, 0, 0, it)));
        ok(c!(wasm_meminit_instantiate(
            module,
            &memory(slot),
            1,
            &global,
            1
        )));
        c!(wasm_meminit_slot_free(slot));
    };
    cycle();
    assert_eq!(measure(cycle).count_total, 1);
    c!(wasm_meminit_pool_free(pool));
    c!(wasm_meminit_slot_free(slot));
    c!(wasm_meminit_module_free(module));
}
