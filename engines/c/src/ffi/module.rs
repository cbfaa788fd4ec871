//! Hosts and modules.

use core::ffi::c_char;
use std::sync::RwLock;

use wasm_meminit::apply;

use super::pointer::{check, expect_len, put, run, write};
use crate::error::call;
use crate::module;
use crate::object::{MayBeBusy, Opaque};
use crate::opaque::{Host, Image, Module};
use crate::types::{Global, MemoryInfo, ModuleInfo, Status};

/// Creates a host that declares nothing.
///
/// Ownership: the caller frees `*host`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_host_new(host: *mut *mut Host) -> Status {
    create!(host, RwLock::new(apply::Host::new()))
}

/// Frees a host. Null is allowed; freeing twice is undefined.
///
/// Ownership: takes `host`; modules loaded for it stay valid. Threads: as for bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_host_free(host: *mut Host) {
    free!(host);
}

/// Declares the value of an imported global, of a `wasm_meminit_value_type`.
///
/// Ownership: the names are copied. Threads: one at a time for each host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_host_add_global(
    host: *mut Host,
    module: *const c_char,
    name: *const c_char,
    value_type: u32,
    bits: u64,
) -> Status {
    run(|| {
        module::add_global(
            object!(host),
            (text!(module), text!(name)),
            value_type,
            bits,
        )
    })
}

/// Declares an imported memory of at least this size. With `is_fresh` = 1, promises that it is
/// zero at each start and imported under no other name; with 0, it may have any contents.
///
/// Ownership: the names are copied. Threads: one at a time for each host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_host_add_memory(
    host: *mut Host,
    module: *const c_char,
    name: *const c_char,
    bytes: u64,
    is_fresh: u32,
) -> Status {
    run(|| module::add_memory(object!(host), (text!(module), text!(name)), bytes, is_fresh))
}

/// Promises to treat a start function in this way, a `wasm_meminit_start_function`.
///
/// Threads: one at a time for each host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_host_set_start_function(
    host: *mut Host,
    treatment: u32,
) -> Status {
    run(|| module::set_start_function(object!(host), treatment))
}

/// Checks an artifact completely, and prepares its module for any number of instances. `host`
/// is what it must have been built for; null declares nothing, which most artifacts allow.
///
/// Ownership: the caller frees `*module`; `artifact` and `host` are only read. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_module_load(
    artifact: *const u8,
    len: usize,
    host: *const Host,
    module: *mut *mut Module,
) -> Status {
    create!(
        module,
        module::load(bytes!(artifact, len), optional!(host))?
    )
}

/// The same with a file, whose path is UTF-8. It may be changed or removed afterwards.
///
/// Ownership: the caller frees `*module`; `host` is only read. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_module_load_file(
    path: *const c_char,
    host: *const Host,
    module: *mut *mut Module,
) -> Status {
    create!(module, module::load_file(text!(path), optional!(host))?)
}

/// Frees a module. Null is allowed; freeing twice is undefined.
///
/// Ownership: takes `module`; its images and slots stay valid. Threads: as for bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_module_free(module: *mut Module) {
    free!(module);
}

/// Describes a module. Set `info->struct_size`.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_module_get_info(
    module: *const Module,
    info: *mut ModuleInfo,
) -> Status {
    run(|| write(info, module::info(object!(module)), "info"))
}

/// Describes a memory by its index; imported memories come first. Set `info->struct_size`.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_module_get_memory(
    module: *const Module,
    index: u32,
    info: *mut MemoryInfo,
) -> Status {
    run(|| write(info, module::memory_info(object!(module), index)?, "info"))
}

/// Returns the index and the type of the `nth` imported global that each start needs.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_module_get_global(
    module: *const Module,
    nth: u64,
    global: *mut Global,
) -> Status {
    run(|| put(global, module::global(object!(module), nth)?, "global"))
}

/// Returns the image of a memory, or a failure with the status `NOT_FOUND` if it starts zeroed.
///
/// Ownership: the caller frees `*image`, before or after the module. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_module_get_image(
    module: *const Module,
    index: u32,
    image: *mut *mut Image,
) -> Status {
    create!(image, module::image(object!(module), index)?)
}
