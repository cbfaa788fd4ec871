//! Objects and their contents.

use core::ffi::{CStr, c_char};
use core::ptr;

use wasm_meminit_c::opaque::{Bytes, Memory, Module, Slot};
use wasm_meminit_c::types::{ErrorInfo, Global, SlotConfig, Status, ValueType};

/// 41 at address 1024, and a segment at the address in an imported global.
pub(crate) const HYBRID: &str = r#"(module
    (import "env" "base" (global $base i32))
    (memory 1 4)
    (data (i32.const 1024) "baked")
    (data (global.get $base) "replayed"))"#;

/// What the library says about the last failure of this thread.
pub(crate) fn message() -> String {
    text(c!(wasm_meminit_last_error()))
}

pub(crate) fn text(ptr: *const c_char) -> String {
    // SAFETY: texts of the library end with a NUL, and nothing changes them meanwhile.
    let text = unsafe { CStr::from_ptr(ptr) };
    text.to_str().expect("UTF-8").to_owned()
}

#[track_caller]
pub(crate) fn ok(status: Status) {
    assert_eq!(status, Status::Ok, "{}", message());
}

/// Returns the object that a call creates.
#[track_caller]
pub(crate) fn created<T>(create: impl FnOnce(*mut *mut T) -> Status) -> *mut T {
    let mut object = ptr::null_mut();
    ok(create(&mut object));
    assert!(!object.is_null());
    object
}

/// Copies the contents, and frees the object.
pub(crate) fn take(bytes: *mut Bytes) -> Vec<u8> {
    let (data, len) = (
        c!(wasm_meminit_bytes_data(bytes)),
        c!(wasm_meminit_bytes_len(bytes)),
    );
    // SAFETY: the object has that many bytes, and is not freed before the copy is made.
    let copy = unsafe { core::slice::from_raw_parts(data, len) }.to_vec();
    c!(wasm_meminit_bytes_free(bytes));
    copy
}

pub(crate) fn artifact(wat: &str) -> Vec<u8> {
    let wasm = wat::parse_str(wat).expect("valid");
    take(created(|it| {
        c!(wasm_meminit_build(wasm.as_ptr(), wasm.len(), it))
    }))
}

pub(crate) fn module(wat: &str) -> *mut Module {
    let artifact = artifact(wat);
    let (data, len) = (artifact.as_ptr(), artifact.len());
    created(|it| c!(wasm_meminit_module_load(data, len, ptr::null(), it)))
}

/// A slot for memories of 4 pages.
pub(crate) fn slot() -> *mut Slot {
    let config = slot_config();
    created(|it| c!(wasm_meminit_slot_new(&config, it)))
}

pub(crate) fn slot_config() -> SlotConfig {
    let mut config = SlotConfig {
        struct_size: 0,
        max_bytes: 0,
        guard_bytes: 0,
        guard_before_bytes: 0,
        keep_resident_bytes: 0,
        strategy: u32::MAX,
        max_pieces: 0,
    };
    ok(c!(wasm_meminit_slot_config_init(
        &mut config,
        size_of::<SlotConfig>()
    )));
    config.max_bytes = 4 << 16;
    config
}

pub(crate) fn memory(slot: *mut Slot) -> Memory {
    Memory {
        struct_size: size_of::<Memory>(),
        slot,
        data: ptr::null_mut(),
        bytes: 0,
    }
}

pub(crate) fn base(bits: u64) -> Global {
    Global {
        index: 0,
        value_type: ValueType::I32 as u32,
        bits,
    }
}

/// Starts the module [`HYBRID`], or another one with one memory, in a slot.
pub(crate) fn instantiate(module: *const Module, slot: *mut Slot, at: u64) -> Status {
    c!(wasm_meminit_instantiate(
        module,
        &memory(slot),
        1,
        &base(at),
        1
    ))
}

/// Returns the bytes of the memory in a slot.
pub(crate) fn contents<'a>(slot: *const Slot) -> &'a mut [u8] {
    let (data, len) = (
        c!(wasm_meminit_slot_data(slot)),
        c!(wasm_meminit_slot_len(slot)),
    );
    let len = usize::try_from(len).expect("fits");
    if len == 0 {
        return &mut [];
    }
    // SAFETY: the memory is in use, has that many bytes, and each test uses it alone.
    unsafe { core::slice::from_raw_parts_mut(data, len) }
}

pub(crate) fn error_info() -> ErrorInfo {
    let mut info = ErrorInfo {
        struct_size: size_of::<ErrorInfo>(),
        status: -1,
        os_error: -1,
        segment: 0,
        memory: 0,
        message: ptr::null(),
    };
    ok(c!(wasm_meminit_last_error_info(&mut info)));
    info
}
