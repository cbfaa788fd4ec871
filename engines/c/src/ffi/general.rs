//! Errors, texts, and building artifacts.

use core::ffi::c_char;
use core::ptr;

use wasm_meminit::apply::{Capabilities, MemorySlot};

use super::pointer::{check, expect_len, run, write};
use crate::builder;
use crate::error::{self, call};
use crate::object::{MayBeBusy, Opaque};
use crate::opaque::Bytes;
use crate::types::{ErrorInfo, Status};

/// Returns the version of the library, such as "0.1.0".
///
/// Ownership: static. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns the message of the last call of this thread that failed; "" if none has.
///
/// Ownership: the library's, until the next failure or the end of this thread. Threads: any;
/// each has its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_last_error() -> *const c_char {
    error::last().message
}

/// Describes the last call of this thread that failed, in numbers. Set `info->struct_size`.
///
/// Ownership: `info->message` is the library's, as for `wasm_meminit_last_error`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_last_error_info(info: *mut ErrorInfo) -> Status {
    run(|| write(info, error::last(), "info"))
}

/// Describes in text what the system supports, and why not the rest.
///
/// Ownership: the caller frees `*text`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_capabilities(text: *mut *mut Bytes) -> Status {
    create!(text, Capabilities::get().to_string().into_bytes())
}

/// Returns 1 if memories of slots have guards and never move, otherwise 0: on systems without
/// mappings, such as Windows. Code that omits bounds checks, or that keeps the address of a memory
/// while it grows, must not use slots there.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_has_guards() -> u32 {
    MemorySlot::HAS_GUARDS.into()
}

/// Returns the address of the first byte; null if there are none.
///
/// Ownership: the object's. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_bytes_data(bytes: *const Bytes) -> *const u8 {
    let data = call(|| {
        let bytes = object!(bytes);
        Ok(if bytes.is_empty() {
            ptr::null()
        } else {
            bytes.as_ptr()
        })
    });
    data.unwrap_or(ptr::null())
}

/// Returns the number of bytes; 0 on failure.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_bytes_len(bytes: *const Bytes) -> usize {
    call(|| Ok(object!(bytes).len())).unwrap_or(0)
}

/// Frees bytes. Null is allowed; freeing twice is undefined.
///
/// Ownership: takes `bytes`. Threads: any, but after all other uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_bytes_free(bytes: *mut Bytes) {
    free!(bytes);
}

/// Builds the artifact of a core module in the binary format.
///
/// Ownership: the caller frees `*artifact`; `wasm` is only read. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_build(
    wasm: *const u8,
    len: usize,
    artifact: *mut *mut Bytes,
) -> Status {
    create!(artifact, builder::build(bytes!(wasm, len))?)
}

/// Returns the same module without the data that is in its artifact, for an engine whose
/// memories start from images.
///
/// Ownership: the caller frees `*stripped`; `wasm` is only read. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_strip(
    wasm: *const u8,
    len: usize,
    stripped: *mut *mut Bytes,
) -> Status {
    create!(stripped, builder::strip(bytes!(wasm, len))?)
}

/// Returns the same module with its memories imported from `import_module`, as `memory0` and
/// so on, for a host that owns the memories.
///
/// Ownership: the caller frees `*external`; the rest is only read. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_externalize(
    wasm: *const u8,
    len: usize,
    import_module: *const c_char,
    external: *mut *mut Bytes,
) -> Status {
    create!(
        external,
        builder::externalize(bytes!(wasm, len), text!(import_module))?
    )
}
