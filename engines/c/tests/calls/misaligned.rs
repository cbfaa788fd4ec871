//! Each pointer of each function to an object, a structure or a result, one of them misaligned.

use core::ptr;
use std::collections::BTreeSet;
use std::sync::Mutex;

use wasm_meminit_c::opaque::{Image, Memory, Module, Pool, Slot};
use wasm_meminit_c::types::{PoolConfig, SlotConfig, Status};

use crate::support::{HYBRID, artifact, base, created, memory, message, module, slot, slot_config};

/// Kept until the process ends, where a checker of leaks finds them.
static ZEROS: Mutex<Vec<Box<[u64; 64]>>> = Mutex::new(Vec::new());

fn zeros<T>() -> *mut T {
    let mut zeros = ZEROS.lock().expect("no panic under the lock");
    zeros.push(Box::new([0; 64]));
    let last = zeros.last_mut().expect("just added");
    last.as_mut_ptr().cast()
}

/// Returns a pointer to zeros, at an odd address.
fn odd<T>() -> *mut T {
    zeros::<T>().wrapping_byte_add(1)
}

/// A place for a result that no call gets as far as.
fn out<T>() -> *mut *mut T {
    zeros()
}

/// A function's name, its status and the last error.
type Called = (&'static str, Status, String);

macro_rules! call {
    ($name:ident($($arg:expr),* $(,)?)) => {
        (stringify!($name), c!($name($($arg),*)), message())
    };
}

/// Calls a function without a status, and returns its name.
macro_rules! query {
    ($name:ident, $arg:expr) => {{
        let before = c!(wasm_meminit_pool_drain(ptr::null()));
        assert_eq!(before, Status::NullPointer);
        let _ = c!($name($arg));
        let name = stringify!($name);
        assert!(message().contains("not aligned"), "{name}: {}", message());
        name
    }};
}

/// Valid arguments, for the pointers that are not misaligned.
struct Valid {
    module: *mut Module,
    slot: *mut Slot,
    image: *mut Image,
    pool: *mut Pool,
    slot_config: SlotConfig,
    pool_config: PoolConfig,
}

impl Valid {
    fn new() -> Self {
        let mut pool_config = PoolConfig {
            struct_size: 0,
            max_slots: 0,
            max_resident_bytes: 0,
            n_shards: 0,
            batch: 0,
        };
        let status = c!(wasm_meminit_pool_config_init(
            &mut pool_config,
            size_of::<PoolConfig>()
        ));
        assert_eq!(status, Status::Ok);
        let slot_config = slot_config();
        Self {
            module: module(HYBRID),
            slot: slot(),
            image: created(|it| c!(wasm_meminit_image_capture([1].as_ptr(), 1, it))),
            pool: created(|it| c!(wasm_meminit_pool_new(&pool_config, &slot_config, it))),
            slot_config,
            pool_config,
        }
    }

    fn free(self) {
        c!(wasm_meminit_module_free(self.module));
        c!(wasm_meminit_slot_free(self.slot));
        c!(wasm_meminit_image_free(self.image));
        c!(wasm_meminit_pool_free(self.pool));
    }
}

/// Modules, hosts, and what has no other file.
fn of_modules(it: &Valid) -> Vec<Called> {
    let wasm = wat::parse_str(HYBRID).expect("valid");
    let (wasm, len) = (wasm.as_ptr(), wasm.len());
    let artifact = artifact(HYBRID);
    let (bytes, n) = (artifact.as_ptr(), artifact.len());
    let (text, none) = (c"env".as_ptr(), ptr::null());
    vec![
        call!(wasm_meminit_last_error_info(odd())),
        call!(wasm_meminit_capabilities(odd())),
        call!(wasm_meminit_build(wasm, len, odd())),
        call!(wasm_meminit_strip(wasm, len, odd())),
        call!(wasm_meminit_externalize(wasm, len, text, odd())),
        call!(wasm_meminit_host_new(odd())),
        call!(wasm_meminit_host_add_global(odd(), text, text, 0, 0)),
        call!(wasm_meminit_host_add_memory(odd(), text, text, 0, 0)),
        call!(wasm_meminit_host_set_start_function(odd(), 0)),
        call!(wasm_meminit_module_load(bytes, n, odd(), out())),
        call!(wasm_meminit_module_load(bytes, n, none, odd())),
        call!(wasm_meminit_module_load_file(text, odd(), out())),
        call!(wasm_meminit_module_load_file(text, none, odd())),
        call!(wasm_meminit_module_get_info(odd(), zeros())),
        call!(wasm_meminit_module_get_info(it.module, odd())),
        call!(wasm_meminit_module_get_memory(odd(), 0, zeros())),
        call!(wasm_meminit_module_get_memory(it.module, 0, odd())),
        call!(wasm_meminit_module_get_global(odd(), 0, zeros())),
        call!(wasm_meminit_module_get_global(it.module, 0, odd())),
        call!(wasm_meminit_module_get_image(odd(), 0, out())),
        call!(wasm_meminit_module_get_image(it.module, 0, odd())),
        call!(wasm_meminit_image_capture(bytes, n, odd())),
    ]
}

fn of_slots_and_pools(it: &Valid) -> Vec<Called> {
    let (slots, pools) = (&it.slot_config, &it.pool_config);
    vec![
        call!(wasm_meminit_slot_config_init(
            odd(),
            size_of::<SlotConfig>()
        )),
        call!(wasm_meminit_slot_new(odd(), out())),
        call!(wasm_meminit_slot_new(slots, odd())),
        call!(wasm_meminit_slot_start(odd(), ptr::null(), 1)),
        call!(wasm_meminit_slot_start(it.slot, odd(), 1)),
        call!(wasm_meminit_slot_grow(odd(), 1)),
        call!(wasm_meminit_slot_zero(odd())),
        call!(wasm_meminit_slot_reset(odd(), ptr::null_mut())),
        call!(wasm_meminit_slot_reset(it.slot, odd())),
        call!(wasm_meminit_pool_config_init(
            odd(),
            size_of::<PoolConfig>()
        )),
        call!(wasm_meminit_pool_new(odd(), slots, out())),
        call!(wasm_meminit_pool_new(pools, odd(), out())),
        call!(wasm_meminit_pool_new(pools, slots, odd())),
        call!(wasm_meminit_pool_acquire(odd(), it.image, 1, 0, out())),
        call!(wasm_meminit_pool_acquire(it.pool, odd(), 1, 0, out())),
        call!(wasm_meminit_pool_acquire(it.pool, it.image, 1, 0, odd())),
        call!(wasm_meminit_pool_acquire_memory(
            odd(),
            it.module,
            0,
            1,
            0,
            out()
        )),
        call!(wasm_meminit_pool_acquire_memory(
            it.pool,
            odd(),
            0,
            1,
            0,
            out()
        )),
        call!(wasm_meminit_pool_acquire_memory(
            it.pool,
            it.module,
            0,
            65_536,
            0,
            odd()
        )),
        call!(wasm_meminit_pool_drain(odd())),
        call!(wasm_meminit_pool_evict(odd(), it.image)),
        call!(wasm_meminit_pool_evict(it.pool, odd())),
        call!(wasm_meminit_pool_get_stats(odd(), zeros())),
        call!(wasm_meminit_pool_get_stats(it.pool, odd())),
    ]
}

fn of_instances(it: &Valid) -> Vec<Called> {
    let memories: [Memory; 2] = [memory(it.slot), memory(odd())];
    let [right, wrong] = &memories;
    let global = base(0);
    vec![
        call!(wasm_meminit_instantiate(odd(), right, 1, &global, 1)),
        call!(wasm_meminit_instantiate(it.module, odd(), 1, &global, 1)),
        call!(wasm_meminit_instantiate(it.module, wrong, 1, &global, 1)),
        call!(wasm_meminit_instantiate(it.module, right, 1, odd(), 1)),
        call!(wasm_meminit_place_images(odd(), right, 1)),
        call!(wasm_meminit_place_images(it.module, odd(), 1)),
        call!(wasm_meminit_place_images(it.module, wrong, 1)),
    ]
}

#[test]
fn each_misaligned_pointer_of_each_function() {
    let valid = Valid::new();
    let calls = [
        of_modules(&valid),
        of_slots_and_pools(&valid),
        of_instances(&valid),
    ]
    .concat();
    valid.free();
    let mut tested = BTreeSet::new();
    for (name, status, message) in calls {
        assert_eq!(status, Status::InvalidArgument, "{name}");
        assert!(message.contains("not aligned"), "{name}: {message}");
        tested.insert(name);
    }
    tested.extend([
        query!(wasm_meminit_bytes_data, odd()),
        query!(wasm_meminit_bytes_len, odd()),
        query!(wasm_meminit_bytes_free, odd()),
        query!(wasm_meminit_host_free, odd()),
        query!(wasm_meminit_module_free, odd()),
        query!(wasm_meminit_image_free, odd()),
        query!(wasm_meminit_slot_free, odd()),
        query!(wasm_meminit_slot_data, odd()),
        query!(wasm_meminit_slot_len, odd()),
        query!(wasm_meminit_slot_max_bytes, odd()),
        query!(wasm_meminit_pool_free, odd()),
    ]);
    let header = include_str!("../../include/wasm_meminit.h");
    let code = header
        .lines()
        .filter(|it| !it.trim_start().starts_with("//"));
    let declared = code.filter_map(|line| line.split_once('(')?.0.rsplit([' ', '*']).next());
    for name in declared.filter(|it| it.starts_with("wasm_meminit_")) {
        let has_pointers = !matches!(
            name,
            "wasm_meminit_version" | "wasm_meminit_last_error" | "wasm_meminit_has_guards"
        );
        assert_eq!(tested.contains(name), has_pointers, "{name}");
    }
}
