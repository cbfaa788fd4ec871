//! Each failure: its status, and a message that says what was wrong.

use core::ptr;

use wasm_meminit_c::opaque::{Host, Image, Module, Slot};
use wasm_meminit_c::types::{Status, Strategy};

use crate::support::{
    HYBRID, artifact, base, contents, created, error_info, instantiate, memory, message, module,
    ok, slot, slot_config, text,
};

#[track_caller]
fn fails(status: Status, expected: Status, says: &str) {
    assert_eq!(status, expected, "{}", message());
    let message = message();
    assert!(message.contains(says), "{message:?} does not say {says:?}");
    assert_eq!(error_info().status, expected as i32);
}

#[test]
fn null_pointers() {
    let null = Status::NullPointer;
    fails(
        c!(wasm_meminit_slot_grow(ptr::null_mut(), 1)),
        null,
        "`slot` is null",
    );
    fails(
        c!(wasm_meminit_slot_reset(ptr::null_mut(), ptr::null_mut())),
        null,
        "`slot`",
    );
    fails(
        c!(wasm_meminit_host_new(ptr::null_mut())),
        null,
        "`host` is null",
    );
    fails(
        c!(wasm_meminit_module_load(
            ptr::null(),
            5,
            ptr::null(),
            &mut ptr::null_mut()
        )),
        null,
        "`artifact` is null",
    );
    fails(
        c!(wasm_meminit_last_error_info(ptr::null_mut())),
        null,
        "`info`",
    );
    fails(
        c!(wasm_meminit_module_load_file(
            ptr::null(),
            ptr::null(),
            &mut ptr::null_mut()
        )),
        null,
        "`path` is null",
    );
    fails(
        c!(wasm_meminit_pool_drain(ptr::null())),
        null,
        "`pool` is null",
    );
    assert!(c!(wasm_meminit_slot_data(ptr::null())).is_null());
    assert_eq!(c!(wasm_meminit_slot_len(ptr::null())), 0);
    assert_eq!(c!(wasm_meminit_bytes_len(ptr::null())), 0);
    // Freeing nothing is allowed.
    c!(wasm_meminit_slot_free(ptr::null_mut()));
    c!(wasm_meminit_module_free(ptr::null_mut()));
}

#[test]
fn a_failed_creation_leaves_null() {
    let mut module = ptr::dangling_mut::<Module>();
    let status = c!(wasm_meminit_module_load(
        [1, 2].as_ptr(),
        2,
        ptr::null(),
        &mut module
    ));
    fails(status, Status::Malformed, "");
    assert!(module.is_null());
}

#[test]
fn objects_of_the_wrong_kind() {
    let (slot, module) = (slot(), module(HYBRID));
    let kind = Status::WrongKind;
    fails(
        c!(wasm_meminit_slot_grow(module.cast(), 1)),
        kind,
        "a module, expected a slot",
    );
    fails(
        c!(wasm_meminit_pool_drain(slot.cast())),
        kind,
        "a slot, expected a pool",
    );
    fails(
        c!(wasm_meminit_slot_start(slot, module.cast::<Image>(), 65536)),
        kind,
        "a module, expected an image",
    );
    fails(instantiate(slot.cast(), slot, 0), kind, "expected a module");
    fails(
        instantiate(module, module.cast(), 0),
        kind,
        "expected a slot",
    );
    // Freed as something else, an object stays alive.
    c!(wasm_meminit_pool_free(slot.cast()));
    assert!(
        message().contains("a slot, expected a pool"),
        "{}",
        message()
    );
    ok(instantiate(module, slot, 0));
    c!(wasm_meminit_slot_free(slot));
    c!(wasm_meminit_module_free(module));
}

#[test]
fn numbers_that_mean_nothing() {
    let invalid = Status::InvalidArgument;
    let mut config = slot_config();
    config.strategy = Strategy::Copy as u32 + 1;
    fails(
        c!(wasm_meminit_slot_new(&config, &mut ptr::null_mut())),
        invalid,
        "strategy: 5",
    );
    let mut config = slot_config();
    config.max_pieces = 65;
    fails(
        c!(wasm_meminit_slot_new(&config, &mut ptr::null_mut())),
        invalid,
        "max_pieces is 65",
    );

    let host = created(|it| c!(wasm_meminit_host_new(it)));
    let name = c"base".as_ptr();
    fails(
        c!(wasm_meminit_host_add_global(host, name, name, 2, 0)),
        invalid,
        "value type: 2",
    );
    fails(
        c!(wasm_meminit_host_add_memory(host, name, name, 0, 2)),
        invalid,
        "is_fresh is 2",
    );
    fails(
        c!(wasm_meminit_host_set_start_function(host, 4)),
        invalid,
        "start functions: 4",
    );
    let latin1 = c"\xe9".as_ptr();
    fails(
        c!(wasm_meminit_host_add_global(host, latin1, name, 0, 0)),
        invalid,
        "not UTF-8",
    );
    c!(wasm_meminit_host_free(host));

    let (slot, module) = (slot(), module(HYBRID));
    let mut global = base(0);
    global.index = u32::MAX;
    let memory = memory(slot);
    let status = c!(wasm_meminit_instantiate(module, &memory, 1, &global, 1));
    fails(status, invalid, "not an index");
    let status = c!(wasm_meminit_instantiate(
        module,
        &memory,
        1,
        &base(0),
        usize::MAX
    ));
    fails(status, invalid, "cannot have");
    let status = c!(wasm_meminit_instantiate(
        module,
        &memory,
        usize::MAX,
        &base(0),
        1
    ));
    fails(status, invalid, "the module has 1 memory, but ");
    let status = c!(wasm_meminit_instantiate(module, &memory, 1, ptr::null(), 0));
    fails(status, invalid, "global 0 needs a value");
    ok(instantiate(module, slot, 0));
    c!(wasm_meminit_slot_free(slot));
    c!(wasm_meminit_module_free(module));
}

#[test]
fn states() {
    let (slot, module) = (slot(), module(HYBRID));
    let state = Status::WrongState;
    fails(c!(wasm_meminit_slot_grow(slot, 65536)), state, "not in use");
    fails(c!(wasm_meminit_slot_zero(slot)), state, "not in use");
    fails(
        c!(wasm_meminit_slot_reset(slot, ptr::null_mut())),
        state,
        "not in use",
    );
    ok(instantiate(module, slot, 0));
    fails(
        instantiate(module, slot, 0),
        state,
        "memory 0: the slot is in use",
    );
    assert_eq!(error_info().memory, 0);
    fails(
        c!(wasm_meminit_slot_grow(slot, 1)),
        Status::InvalidArgument,
        "cannot shrink",
    );
    fails(
        c!(wasm_meminit_slot_grow(slot, 5 << 16)),
        Status::DoesNotFit,
        "reserves 262144",
    );
    c!(wasm_meminit_slot_free(slot));
    c!(wasm_meminit_module_free(module));
}

#[test]
fn a_trap_names_its_segment_and_keeps_what_was_written() {
    let (slot, module) = (slot(), module(HYBRID));
    fails(instantiate(module, slot, 65535), Status::Trap, "");
    let info = error_info();
    assert_eq!((info.segment, info.memory, info.os_error), (1, 0, 0));
    assert_eq!(text(info.message), message());
    assert_eq!(contents(slot)[1024..1029], *b"baked");
    ok(c!(wasm_meminit_slot_reset(slot, ptr::null_mut())));
    ok(instantiate(module, slot, 65528));
    assert_eq!(contents(slot)[65528..], *b"replayed");
    c!(wasm_meminit_slot_free(slot));
    c!(wasm_meminit_module_free(module));
}

#[test]
fn damaged_artifacts_and_missing_files() {
    let mut bytes = artifact(HYBRID);
    let mut module: *mut Module = ptr::null_mut();
    let mut load = |bytes: &[u8]| {
        c!(wasm_meminit_module_load(
            bytes.as_ptr(),
            bytes.len(),
            ptr::null(),
            &mut module
        ))
    };
    fails(load(&[]), Status::Malformed, "");
    fails(load(&bytes[..bytes.len() - 1]), Status::Malformed, "");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fails(load(&bytes), Status::Malformed, "");
    fails(load(b"\0asm\x01\0\0\0"), Status::Malformed, "");
    let path = c"no/such/file".as_ptr();
    let status = c!(wasm_meminit_module_load_file(
        path,
        ptr::null(),
        &mut module
    ));
    fails(status, Status::System, "No such file");
    assert_eq!(error_info().os_error, 2);
    let status = c!(wasm_meminit_build(
        b"text".as_ptr(),
        4,
        &mut ptr::null_mut()
    ));
    fails(status, Status::Malformed, "");
}

#[test]
fn indices_past_the_end() {
    let module = module(HYBRID);
    let image = |index| {
        c!(wasm_meminit_module_get_image(
            module,
            index,
            &mut ptr::null_mut()
        ))
    };
    fails(image(1), Status::NotFound, "no memory 1: the module has 1");
    fails(image(u32::MAX), Status::InvalidArgument, "not an index");
    let mut global = base(0);
    let nth = |nth, global| c!(wasm_meminit_module_get_global(module, nth, global));
    ok(nth(0, &mut global));
    fails(nth(1, &mut global), Status::NotFound, "no global 1");
    fails(nth(u64::MAX, &mut global), Status::NotFound, "no global");
    c!(wasm_meminit_module_free(module));
}

#[test]
fn one_slot_for_two_memories_and_overlapping_bytes() {
    let two = r#"(module (memory 1) (memory 1) (data (i32.const 0) "a"))"#;
    let (slot, module) = (slot(), module(two));
    let twice = [memory(slot), memory(slot)];
    let place = |memories: &[_]| {
        c!(wasm_meminit_place_images(
            module,
            memories.as_ptr(),
            memories.len()
        ))
    };
    fails(
        place(&twice),
        Status::Busy,
        "another call is using the slot",
    );
    let mut bytes = vec![0; 3 << 16];
    let mut at = |from: usize| {
        let mut memory = memory(ptr::null_mut::<Slot>());
        memory.data = bytes[from..].as_mut_ptr();
        memory.bytes = 2 << 16;
        memory
    };
    let overlapping = [at(0), at(1 << 16)];
    fails(place(&overlapping), Status::InvalidArgument, "overlap");
    let mut beside = [at(0), at(2 << 16)];
    beside[0].bytes = 1 << 16;
    beside[1].bytes = 1 << 16;
    ok(place(&beside));
    assert_eq!((bytes[0], bytes[2 << 16]), (b'a', 0));

    // The bytes of a memory that is in a slot, in either order.
    let slots = slot_config();
    let pool = created(|it| c!(wasm_meminit_pool_new(ptr::null(), &slots, it)));
    for (index, other) in [(0, 1), (1, 0)] {
        let pooled = created(|it| {
            c!(wasm_meminit_pool_acquire_memory(
                pool, module, index, 0, 0, it
            ))
        });
        let mut both = [memory(pooled), memory(ptr::null_mut())];
        both[1].data = c!(wasm_meminit_slot_data(pooled)).wrapping_add(0xffff);
        both[1].bytes = 1 << 16;
        both.swap(0, usize::try_from(index).expect("small"));
        assert!(both[other].slot.is_null());
        fails(place(&both), Status::InvalidArgument, "overlap");
        both[other].data = bytes.as_mut_ptr().wrapping_add(1 << 16);
        ok(place(&both));
        c!(wasm_meminit_slot_free(pooled));
    }
    c!(wasm_meminit_pool_free(pool));
    c!(wasm_meminit_slot_free(slot));
    c!(wasm_meminit_module_free(module));
}

#[test]
fn a_host_that_supplies_something_else() {
    let wasm = r#"(module
        (import "env" "memory" (memory 1))
        (data (i32.const 0) "a"))"#;
    let module = module(wasm);
    let mut small = vec![0; 100];
    let mut memory = memory(ptr::null_mut());
    memory.data = small.as_mut_ptr();
    memory.bytes = 100;
    let status = c!(wasm_meminit_instantiate(module, &memory, 1, ptr::null(), 0));
    fails(status, Status::DoesNotFit, "at least 65536");
    let mut whole = vec![7; 65536];
    memory.data = whole.as_mut_ptr();
    memory.bytes = 65536;
    ok(c!(wasm_meminit_instantiate(
        module,
        &memory,
        1,
        ptr::null(),
        0
    )));
    assert_eq!(whole[..2], *b"a\x07");
    c!(wasm_meminit_module_free(module));
    let host: *mut Host = created(|it| c!(wasm_meminit_host_new(it)));
    ok(c!(wasm_meminit_host_add_memory(
        host,
        c"env".as_ptr(),
        c"memory".as_ptr(),
        65536,
        1
    )));
    ok(c!(wasm_meminit_host_set_start_function(host, 0)));
    c!(wasm_meminit_host_free(host));
}
