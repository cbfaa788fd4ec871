//! Images and slots.

use alloc::sync::Arc;

use wasm_meminit::apply::MemorySlot;

use super::pointer::{check, expect_len, init, read_or, run, stated, write};
use crate::error::call;
use crate::object::{MayBeBusy, Opaque};
use crate::opaque::{Image, Slot};
use crate::slot::SlotCell;
use crate::types::{ResetReport, SlotConfig, Status};
use crate::{module, slot};

/// Makes an image of the contents of a memory, for example of a program that has run.
///
/// Ownership: the caller frees `*image`; `memory` is only read. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_image_capture(
    memory: *const u8,
    len: usize,
    image: *mut *mut Image,
) -> Status {
    create!(image, Arc::new(module::capture(bytes!(memory, len))?))
}

/// Frees an image. Null is allowed; freeing twice is undefined.
///
/// Ownership: takes `image`; slots started from it stay valid. Threads: as for bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_image_free(image: *mut Image) {
    free!(image);
}

/// Sets the defaults. `size` is `sizeof *config`.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_slot_config_init(
    config: *mut SlotConfig,
    size: usize,
) -> Status {
    run(|| init(config, size, slot::DEFAULT_CONFIG, "config"))
}

/// Reserves address space for one memory after another. Null stands for the defaults.
///
/// Ownership: the caller frees `*slot`; `config` is only read. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_slot_new(
    config: *const SlotConfig,
    slot: *mut *mut Slot,
) -> Status {
    create!(slot, {
        let config = read_or(config, slot::DEFAULT_CONFIG, "config")?;
        SlotCell::own(MemorySlot::new(&slot::config(&config)?)?)
    })
}

/// Frees a slot, or resets one of a pool and returns it. Null is allowed; freeing twice is
/// undefined. A slot that another call is using is not freed: it is lost.
///
/// Ownership: takes `slot`; no code may use its memory any more. Threads: one at a time for each
/// slot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_slot_free(slot: *mut Slot) {
    free!(slot);
}
/// Starts a memory of `bytes` bytes in a ready slot, from an image, or zeroed if that is null.
/// For a module, use `wasm_meminit_instantiate`, which replays data segments too.
///
/// Ownership: the slot keeps the image alive. Threads: one at a time for each slot.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_slot_start(
    slot: *mut Slot,
    image: *const Image,
    bytes: u64,
) -> Status {
    run(|| object!(slot).lock()?.start(optional!(image), bytes))
}

/// Grows the memory to `bytes` bytes; the new ones are zero. The memory does not move on
/// systems with mappings.
///
/// Threads: one at a time for each slot, also while programs run in the memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_slot_grow(slot: *mut Slot, bytes: u64) -> Status {
    run(|| object!(slot).lock()?.grow(bytes))
}

/// Makes every byte of a memory in use zero, as if there were no image.
///
/// Threads: one at a time for each slot; no program may run in the memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_slot_zero(slot: *mut Slot) -> Status {
    run(|| object!(slot).lock()?.zero())
}

/// Ends the use, and resets the slot to its initial contents: the next use sees nothing of this
/// one. `report` may be null; otherwise set `report->struct_size`.
///
/// Ownership: no code may use the memory until the next start. Threads: as for `slot_zero`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_slot_reset(
    slot: *mut Slot,
    report: *mut ResetReport,
) -> Status {
    run(|| {
        if !report.is_null() {
            stated(report, "report")?;
        }
        let done = object!(slot).lock()?.reset()?;
        if report.is_null() {
            Ok(())
        } else {
            write(report, done, "report")
        }
    })
}

/// Returns the address of the memory's first byte. It stays the same from the slot's creation
/// to its end, on systems with mappings. Only the bytes before `wasm_meminit_slot_len` may be
/// accessed; null on failure.
///
/// Ownership: the slot's. Threads: any, also during another call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_slot_data(slot: *const Slot) -> *mut u8 {
    call(|| Ok(object!(slot).base())).unwrap_or(core::ptr::null_mut())
}

/// Returns the size of the memory in bytes; 0 if it is not in use, and on failure.
///
/// Threads: any, also during another call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_slot_len(slot: *const Slot) -> u64 {
    call(|| Ok(object!(slot).len())).unwrap_or(0)
}

/// Returns the size in bytes of the largest memory that fits the slot; 0 on failure.
///
/// Threads: any, also during another call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_slot_max_bytes(slot: *const Slot) -> u64 {
    call(|| Ok(object!(slot).max_bytes())).unwrap_or(0)
}
