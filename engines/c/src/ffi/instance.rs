//! The start of an instance.

use super::pointer::{check, expect_len, memories, run};
use crate::instance;
use crate::object::Opaque;
use crate::opaque::{Memory, Module};
use crate::types::{Global, Status};

/// Initialises all memories of a module for one instance: starts slots from their images,
/// copies images into other memories, and replays the remaining data segments.
///
/// `memory` are all memories in index order, imported ones first, with elements of equal
/// `struct_size`. `global` are the values of the globals that `wasm_meminit_module_get_global`
/// lists, in any order; others are allowed.
///
/// With `WASM_MEMINIT_STATUS_TRAP`, the memories are in use and as the specification says: what
/// was written before the failing segment stays. After other failures, slots are as before.
///
/// Ownership: all arguments are only read, except the memories. Threads: any, but no other use
/// of the memories.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_instantiate(
    module: *const Module,
    memory: *const Memory,
    n_memories: usize,
    global: *const Global,
    n_globals: usize,
) -> Status {
    run(|| {
        let module = object!(module);
        let globals = bytes!(global, n_globals);
        instance::instantiate(module, memories(module, memory, n_memories)?, globals)
    })
}

/// The same without the replay: for an engine that runs the stripped module, and so writes the
/// remaining data segments itself.
///
/// Ownership and threads: as for `wasm_meminit_instantiate`. Never a trap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_place_images(
    module: *const Module,
    memory: *const Memory,
    n_memories: usize,
) -> Status {
    run(|| {
        let module = object!(module);
        instance::place_images(module, memories(module, memory, n_memories)?)
    })
}
