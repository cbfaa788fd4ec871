//! Programs that were compiled with an older or a newer header.

use core::ptr;

use wasm_meminit_c::opaque::{Memory, Slot};
use wasm_meminit_c::types::{
    ErrorInfo, Global, MemoryInfo, ModuleInfo, PoolConfig, PoolStats, ResetReport, SlotConfig,
    Status,
};

use crate::support::{HYBRID, created, memory, message, module, ok, slot, slot_config};

/// The header promises these sizes, so they may only grow, and not below the first version's.
#[cfg(target_pointer_width = "64")]
#[test]
fn sizes_of_the_first_version() {
    assert_eq!(size_of::<ErrorInfo>(), 32);
    assert_eq!(size_of::<SlotConfig>(), 48);
    assert_eq!(size_of::<PoolConfig>(), 32);
    assert_eq!(size_of::<ModuleInfo>(), 40);
    assert_eq!(size_of::<MemoryInfo>(), 48);
    assert_eq!(size_of::<Memory>(), 32);
    assert_eq!(size_of::<ResetReport>(), 48);
    assert_eq!(size_of::<PoolStats>(), 112);
    assert_eq!(size_of::<Global>(), 16);
}

/// A structure of a later header, with a member that this library does not know.
#[repr(C)]
struct Newer<T> {
    known: T,
    new: u64,
}

#[test]
fn a_newer_program_may_leave_new_members_zero() {
    let mut config = Newer {
        known: slot_config(),
        new: 5,
    };
    let size = size_of::<Newer<SlotConfig>>();
    ok(c!(wasm_meminit_slot_config_init(
        (&raw mut config).cast(),
        size
    )));
    assert_eq!((config.known.struct_size, config.new), (size, 0));
    config.known.max_bytes = 4 << 16;
    let new = |config: &Newer<SlotConfig>, slot: &mut *mut Slot| {
        c!(wasm_meminit_slot_new((&raw const *config).cast(), slot))
    };
    let slot = created(|slot| {
        // SAFETY: `created` passes a pointer to its own variable.
        new(&config, unsafe { &mut *slot })
    });
    c!(wasm_meminit_slot_free(slot));

    config.new = 1;
    assert_eq!(new(&config, &mut ptr::null_mut()), Status::Unsupported);
    assert!(
        message().contains("`config` sets a member"),
        "{}",
        message()
    );
}

#[test]
fn results_fill_as_much_as_the_program_knows() {
    let module = module(HYBRID);
    let mut newer = Newer {
        known: ModuleInfo {
            struct_size: size_of::<Newer<ModuleInfo>>(),
            n_memories: 9,
            n_globals: 9,
            n_replayed: 9,
            elements_may_trap: 9,
            has_baked_start: 9,
        },
        new: 9,
    };
    ok(c!(wasm_meminit_module_get_info(
        module,
        (&raw mut newer).cast()
    )));
    assert_eq!(newer.known.struct_size, size_of::<Newer<ModuleInfo>>());
    assert_eq!(
        (
            newer.known.n_memories,
            newer.known.n_globals,
            newer.known.n_replayed
        ),
        (1, 1, 1)
    );
    assert_eq!(
        (newer.known.elements_may_trap, newer.known.has_baked_start),
        (0, 0)
    );
    assert_eq!(newer.new, 0);

    let mut info = newer.known;
    for size in [0, 8, 39, 4097, usize::MAX] {
        info.struct_size = size;
        let status = c!(wasm_meminit_module_get_info(module, &mut info));
        assert_eq!(status, Status::InvalidArgument, "{size}");
        assert!(
            message().contains(&format!("struct_size of {size}")),
            "{}",
            message()
        );
    }
    c!(wasm_meminit_module_free(module));
}

#[test]
fn elements_of_an_array_have_the_size_that_the_first_one_states() {
    let module = module("(module (memory 1) (memory 1))");
    let (first, second) = (slot(), slot());
    let newer = |slot, new| Newer {
        known: Memory {
            struct_size: size_of::<Newer<Memory>>(),
            ..memory(slot)
        },
        new,
    };
    let place = |memories: &[Newer<Memory>; 2]| {
        c!(wasm_meminit_place_images(
            module,
            memories.as_ptr().cast(),
            2
        ))
    };
    assert_eq!(
        place(&[newer(first, 0), newer(second, 1)]),
        Status::Unsupported
    );
    let mut mixed = [newer(first, 0), newer(second, 0)];
    mixed[1].known.struct_size = size_of::<Memory>();
    assert_eq!(place(&mixed), Status::InvalidArgument);
    assert!(
        message().contains("elements of 40 and of 32 bytes"),
        "{}",
        message()
    );
    ok(place(&[newer(first, 0), newer(second, 0)]));
    assert_eq!(c!(wasm_meminit_slot_len(second)), 65536);
    c!(wasm_meminit_slot_free(first));
    c!(wasm_meminit_slot_free(second));
    c!(wasm_meminit_module_free(module));
}

#[test]
fn a_reset_with_a_bad_report_does_not_reset() {
    let slot = slot();
    ok(c!(wasm_meminit_slot_start(slot, ptr::null(), 65536)));
    let mut report = ResetReport {
        struct_size: 1,
        written_bytes: 0,
        n_ranges: 0,
        resident_bytes: 0,
        page_table_bytes: 0,
        strategy: 9,
        reserved: 0,
    };
    assert_eq!(
        c!(wasm_meminit_slot_reset(slot, &mut report)),
        Status::InvalidArgument
    );
    assert_eq!(c!(wasm_meminit_slot_len(slot)), 65536);
    report.struct_size = size_of::<ResetReport>();
    ok(c!(wasm_meminit_slot_reset(slot, &mut report)));
    assert!((1..5).contains(&report.strategy));
    assert_eq!(c!(wasm_meminit_slot_len(slot)), 0);
    c!(wasm_meminit_slot_free(slot));
}
