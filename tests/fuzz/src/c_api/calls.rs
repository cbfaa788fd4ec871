//! One call of any function.

use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use core::ptr;

use arbitrary::{Result, Unstructured};
use wasm_meminit_c::opaque::{Image, Memory, Module, Slot};
use wasm_meminit_c::types::{
    ErrorInfo, Global, MemoryInfo, ModuleInfo, PoolConfig, PoolStats, ResetReport, SlotConfig,
    Status,
};

use super::world::{Kind, World, number, number32, struct_size};

/// A structure, and room for the members that a later version may have.
#[repr(C)]
struct Room<T> {
    it: T,
    rest: [u64; 8],
}

/// A pointer to a structure that begins with its size: valid, null or misaligned. The structure
/// must outlive the pointer.
macro_rules! structure {
    ($u:expr, $room:ident: $ty:ident { $($member:ident: $value:expr),* $(,)? }) => {{
        $room = Room {
            it: $ty { struct_size: struct_size($u, size_of::<$ty>())?, $($member: $value),* },
            rest: if $u.ratio(7, 8)? { [0; 8] } else { [u64::MAX; 8] },
        };
        let start: *mut $ty = (&raw mut $room).cast();
        match $u.int_in_range(0..=19)? {
            0 => ptr::null_mut(),
            1 => start.wrapping_byte_add(1),
            _ => start,
        }
    }};
}

const NAMES: [&CStr; 4] = [c"env", c"base", c"memory", c"\xff\xfe"];

/// Names of files without an artifact.
const PATHS: [&CStr; 4] = [c"", c".", c"/dev/null", c"/nonexistent/file"];

/// Returns one of these texts, or null.
fn text(u: &mut Unstructured<'_>, texts: &[&'static CStr]) -> Result<*const c_char> {
    if u.ratio(1, 16)? {
        return Ok(ptr::null());
    }
    Ok(u.choose(texts)?.as_ptr())
}

/// The value of a member before a call.
const UNSET: u32 = 0xdead;

impl World {
    /// Bytes and their length: an input, or a part of it, or null.
    fn bytes(&self, u: &mut Unstructured<'_>) -> Result<(*const u8, usize)> {
        let input = u.choose(&self.inputs)?;
        Ok(match u.int_in_range(0..=15)? {
            0 => (ptr::null(), input.len()),
            1 => (input.as_ptr(), 0),
            2 => (input.as_ptr(), u.int_in_range(0..=input.len())?),
            3 => (input.as_ptr(), usize::MAX),
            _ => (input.as_ptr(), input.len()),
        })
    }

    /// Calls any function.
    pub(super) fn call(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=35)? {
            0..6 => self.build_or_load(u)?,
            6..9 => self.describe(u)?,
            9 => self.host(u)?,
            10..13 => self.new_slot(u)?,
            13..15 => self.new_pool(u)?,
            15..20 => self.use_slot(u)?,
            20..23 => self.acquire(u)?,
            23..26 => self.use_pool(u)?,
            26..32 => self.instantiate(u)?,
            32 => self.errors(u)?,
            33 => {
                let ptr: *mut Slot = self.object(Kind::Bytes, u)?;
                let len = c!(wasm_meminit_bytes_len(ptr.cast()));
                let data = c!(wasm_meminit_bytes_data(ptr.cast()));
                assert_eq!(data.is_null(), len == 0);
            }
            _ => {
                if let Some(object) = self.take(u)? {
                    // Not as something else: that does nothing.
                    if object.kind != Kind::Host {
                        c!(wasm_meminit_host_free(object.ptr.cast()));
                    }
                    Self::free(object);
                }
            }
        }
        Ok(())
    }

    fn build_or_load(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let (data, len) = self.bytes(u)?;
        // The rules forbid a length that is not that of the bytes, unless no object has it.
        if len == usize::MAX {
            self.created(Kind::Image, |it| {
                c!(wasm_meminit_image_capture(data, len, it))
            });
            return Ok(());
        }
        let host = self.object(Kind::Host, u)?;
        match u.int_in_range(0..=9)? {
            0 => self.created(Kind::Bytes, |it| c!(wasm_meminit_build(data, len, it))),
            1 => self.created(Kind::Bytes, |it| c!(wasm_meminit_strip(data, len, it))),
            2 => {
                let name = text(u, &NAMES)?;
                self.created(Kind::Bytes, |it| {
                    c!(wasm_meminit_externalize(data, len, name, it))
                });
            }
            3 => self.created(Kind::Image, |it| {
                c!(wasm_meminit_image_capture(data, len, it))
            }),
            4 => self.created(Kind::Host, |it| c!(wasm_meminit_host_new(it))),
            5 => {
                let path = text(u, &PATHS)?;
                self.created(Kind::Module, |it| {
                    c!(wasm_meminit_module_load_file(path, host, it))
                });
            }
            6 => self.created(Kind::Bytes, |it| c!(wasm_meminit_capabilities(it))),
            _ => self.created(Kind::Module, |it| {
                c!(wasm_meminit_module_load(data, len, host, it))
            }),
        }
        Ok(())
    }

    fn host(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let host = self.object(Kind::Host, u)?;
        let (module, name) = (text(u, &NAMES)?, text(u, &NAMES)?);
        let (kind, bits) = (number32(u)?, number(u)?);
        let _ = match u.int_in_range(0..=2)? {
            0 => c!(wasm_meminit_host_add_global(host, module, name, kind, bits)),
            1 => c!(wasm_meminit_host_add_memory(host, module, name, bits, kind)),
            _ => c!(wasm_meminit_host_set_start_function(host, kind)),
        };
        Ok(())
    }

    fn describe(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let module: *mut Module = self.object(Kind::Module, u)?;
        let index = number32(u)?;
        match u.int_in_range(0..=3)? {
            0 => {
                let mut room;
                let info = structure!(u, room: ModuleInfo {
                    n_memories: 0, n_globals: 0, n_replayed: 0,
                    elements_may_trap: UNSET, has_baked_start: UNSET,
                });
                let _ = c!(wasm_meminit_module_get_info(module, info));
            }
            1 => {
                let mut room;
                let info = structure!(u, room: MemoryInfo {
                    min_bytes: 0, max_bytes: 0, image_end: 0, index_type: UNSET,
                    is_imported: UNSET, is_shared: UNSET, has_image: UNSET,
                });
                let _ = c!(wasm_meminit_module_get_memory(module, index, info));
            }
            2 => {
                let mut global = Global {
                    index: UNSET,
                    value_type: UNSET,
                    bits: 0,
                };
                let nth = number(u)?;
                let _ = c!(wasm_meminit_module_get_global(module, nth, &mut global));
            }
            _ => self.created(Kind::Image, |it| {
                c!(wasm_meminit_module_get_image(module, index, it))
            }),
        }
        Ok(())
    }

    fn new_slot(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut room = MaybeUninit::uninit();
        let config = slot_config(u, &mut room)?;
        self.created(Kind::Slot, |it| c!(wasm_meminit_slot_new(config, it)));
        Ok(())
    }

    fn new_pool(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut slot_room = MaybeUninit::uninit();
        let slot_config = slot_config(u, &mut slot_room)?;
        let mut room;
        let config: *mut PoolConfig = structure!(u, room: PoolConfig {
            max_slots: number(u)?,
            max_resident_bytes: number(u)?,
            n_shards: number32(u)?,
            batch: number32(u)?,
        });
        if u.ratio(1, 8)? && config.is_aligned() {
            let size = struct_size(u, size_of::<PoolConfig>())?;
            let _ = c!(wasm_meminit_pool_config_init(config, size));
        }
        self.created(Kind::Pool, |it| {
            c!(wasm_meminit_pool_new(config, slot_config, it))
        });
        Ok(())
    }

    fn use_slot(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let slot: *mut Slot = self.object(Kind::Slot, u)?;
        let image: *mut Image = self.object(Kind::Image, u)?;
        let bytes = number(u)?;
        let _ = match u.int_in_range(0..=5)? {
            0 | 1 => c!(wasm_meminit_slot_start(slot, image, bytes)),
            2 => c!(wasm_meminit_slot_grow(slot, bytes)),
            3 => c!(wasm_meminit_slot_zero(slot)),
            4 => {
                let mut room;
                let report = structure!(u, room: ResetReport {
                    written_bytes: 0, n_ranges: 0, resident_bytes: 0, page_table_bytes: 0,
                    strategy: UNSET, reserved: UNSET,
                });
                c!(wasm_meminit_slot_reset(slot, report))
            }
            _ => {
                let (len, max) = (
                    c!(wasm_meminit_slot_len(slot)),
                    c!(wasm_meminit_slot_max_bytes(slot)),
                );
                assert!(len <= max);
                return Ok(());
            }
        };
        Ok(())
    }

    fn acquire(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let pool = self.object(Kind::Pool, u)?;
        let bytes = number(u)?;
        // Only this thread returns slots, so it must not wait for one that it holds.
        let timeout = match self.holds_no_slot() {
            true => *u.choose(&[0, 1, -1, i64::MIN, i64::MAX])?,
            false => *u.choose(&[0, 0, 1])?,
        };
        if u.arbitrary()? {
            let image = self.object(Kind::Image, u)?;
            self.created(Kind::PooledSlot, |it| {
                c!(wasm_meminit_pool_acquire(pool, image, bytes, timeout, it))
            });
        } else {
            let (module, index) = (self.object(Kind::Module, u)?, number32(u)?);
            self.created(Kind::PooledSlot, |it| {
                c!(wasm_meminit_pool_acquire_memory(
                    pool, module, index, bytes, timeout, it
                ))
            });
        }
        Ok(())
    }

    fn use_pool(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let pool = self.object(Kind::Pool, u)?;
        let _ = match u.int_in_range(0..=2)? {
            0 => c!(wasm_meminit_pool_drain(pool)),
            1 => {
                let image = self.object(Kind::Image, u)?;
                c!(wasm_meminit_pool_evict(pool, image))
            }
            _ => {
                let mut room;
                let stats = structure!(u, room: PoolStats {
                    n_hits: 0, n_maps: 0, n_blank: 0, n_waits: 0, n_resets: 0, n_discarded: 0,
                    n_poisoned: 0, n_slots: 0, n_ready: 0, n_queued: 0, resident_bytes: 0,
                    page_table_bytes: 0, image_bytes: 0,
                });
                c!(wasm_meminit_pool_get_stats(pool, stats))
            }
        };
        Ok(())
    }

    fn instantiate(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let module: *mut Module = self.object(Kind::Module, u)?;
        let mut globals = [Global {
            index: 0,
            value_type: 0,
            bits: 0,
        }; 3];
        for global in &mut globals {
            *global = Global {
                index: number32(u)?,
                value_type: number32(u)?,
                bits: number(u)?,
            };
        }
        let mut memories = Vec::new();
        for nth in 0..2 {
            let slot: *mut Slot = self.object(Kind::Slot, u)?;
            let is_owned = u.ratio(1, 3)?;
            let data = self.memories[nth].as_mut_ptr();
            let len = self.memories[nth].len();
            // Not larger than it is; larger than the address space is an error.
            let bytes = match slot.is_null() || is_owned {
                true => u.choose_index(len + 1)? as u64,
                false => number(u)?,
            };
            memories.push(Memory {
                struct_size: struct_size(u, size_of::<Memory>())?.min(size_of::<Memory>()),
                slot: if is_owned { ptr::null_mut() } else { slot },
                data: if u.ratio(1, 8)? {
                    ptr::null_mut()
                } else {
                    data
                },
                bytes,
            });
        }
        let n_memories = u.int_in_range(0..=2)?;
        let n_globals = u.int_in_range(0..=3)?;
        let memory = if u.ratio(1, 16)? {
            ptr::null()
        } else {
            memories.as_ptr()
        };
        let global = if u.ratio(1, 16)? {
            ptr::null()
        } else {
            globals.as_ptr()
        };
        if u.ratio(1, 4)? {
            let _ = c!(wasm_meminit_place_images(module, memory, n_memories));
        } else {
            let done = c!(wasm_meminit_instantiate(
                module, memory, n_memories, global, n_globals
            ));
            self.has_started |= done == Status::Ok;
        }
        self.memories.iter_mut().for_each(|it| it.fill(0));
        Ok(())
    }

    fn errors(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        assert!(!c!(wasm_meminit_version()).is_null());
        assert!(c!(wasm_meminit_has_guards()) <= 1);
        let message = c!(wasm_meminit_last_error());
        assert!(!message.is_null());
        // SAFETY: texts of the library end with a NUL, and nothing changes them meanwhile.
        assert!(unsafe { CStr::from_ptr(message) }.to_str().is_ok());
        let mut room;
        let info = structure!(u, room: ErrorInfo {
            status: 0, os_error: 0, segment: UNSET, memory: UNSET, message: ptr::null(),
        });
        let _ = c!(wasm_meminit_last_error_info(info));
        Ok(())
    }
}

/// Returns a configuration of slots in `room`: with memories that are small, or too large for
/// any address space.
fn slot_config(
    u: &mut Unstructured<'_>,
    room: &mut MaybeUninit<Room<SlotConfig>>,
) -> Result<*mut SlotConfig> {
    let sizes = [
        0,
        1,
        4096,
        65_536,
        65_537,
        4 << 16,
        4 << 16,
        1 << 47,
        1 << 62,
        u64::MAX,
    ];
    let guards = [
        0,
        0,
        0,
        1,
        4096,
        1 << 20,
        1 << 47,
        u64::MAX,
        u64::MAX - 65_535,
    ];
    let config = SlotConfig {
        struct_size: struct_size(u, size_of::<SlotConfig>())?,
        max_bytes: *u.choose(&sizes)?,
        guard_bytes: *u.choose(&guards)?,
        guard_before_bytes: *u.choose(&guards)?,
        keep_resident_bytes: number(u)?,
        strategy: number32(u)?,
        max_pieces: number32(u)?,
    };
    let it = Room {
        it: config,
        rest: [0; 8],
    };
    let start: *mut SlotConfig = (&raw mut room.write(it).it).cast();
    if u.ratio(1, 8)? {
        let size = struct_size(u, size_of::<SlotConfig>())?;
        let _ = c!(wasm_meminit_slot_config_init(start, size));
    }
    Ok(if u.ratio(1, 16)? {
        ptr::null_mut()
    } else {
        start
    })
}
