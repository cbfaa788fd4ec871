//! The types of the header: results, enumerations, configurations.
//!
//! Structures that may get further members begin with `struct_size`, by which the library
//! knows which members its caller knows. New members are only ever appended.

use core::ffi::c_char;

/// The result of a call.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Success.
    Ok = 0,
    /// A required pointer is null.
    NullPointer = 1,
    /// An argument has a value that is not allowed.
    InvalidArgument = 2,
    /// A pointer refers to another kind of object.
    WrongKind = 3,
    /// Another call is using the object at this moment, or it was passed twice to one call.
    Busy = 4,
    /// The slot is in use, or is not in use, or belongs to a pool.
    WrongState = 5,
    /// An earlier failure could not be undone: the object can only be freed.
    Poisoned = 6,
    /// A size does not fit: the memory its slot, or the image its memory.
    DoesNotFit = 7,
    /// The input is not an artifact, or not a module, or it is damaged.
    Malformed = 8,
    /// The artifact was built for a host that supplies something else.
    HostMismatch = 9,
    /// The program traps: a data segment does not fit its memory.
    Trap = 10,
    /// All slots of the pool are in use.
    Exhausted = 11,
    /// No slot was returned to the pool before the timeout.
    TimedOut = 12,
    /// The module has no such memory or global.
    NotFound = 13,
    /// The operating system refused. The error information has its error number.
    System = 14,
    /// This system, or this build of the library, does not support the call.
    Unsupported = 15,
    /// A bug in the library.
    Internal = 16,
}

/// How a slot removes what a use has written. All strategies have the same effect.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Chooses by the system and the last uses.
    Auto = 0,
    /// Finds the pages that were written and copies their initial contents over them.
    ScanAndCopy = 1,
    /// Discards all pages.
    Discard = 2,
    /// Replaces the mappings.
    Remap = 3,
    /// Compares every byte.
    Copy = 4,
}

/// The type of a global, or of the addresses of a memory.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// 32 bits.
    I32 = 0,
    /// 64 bits.
    I64 = 1,
}

/// How a host treats the start function of a threaded module.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFunction {
    /// It runs unchanged.
    Unchanged = 0,
    /// It finds the memory already initialised.
    AlreadyInitialized = 1,
    /// The same, and the host provides thread-local storage.
    AlreadyInitializedTls = 2,
    /// It runs with nothing left to write.
    WritesStripped = 3,
}

/// The last error of a thread.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ErrorInfo {
    /// The size of this structure: `sizeof(wasm_meminit_error_info)`.
    pub struct_size: usize,
    /// A `wasm_meminit_status`.
    pub status: i32,
    /// The error number of the operating system (errno), or 0.
    pub os_error: i32,
    /// The data segment that could not be written, or `UINT32_MAX`.
    pub segment: u32,
    /// The memory that the error is about, or `UINT32_MAX`.
    pub memory: u32,
    /// The same as `wasm_meminit_last_error` returns.
    pub message: *const c_char,
}

/// The configuration of a slot. `wasm_meminit_slot_config_init` sets the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlotConfig {
    /// The size of this structure: `sizeof(wasm_meminit_slot_config)`.
    pub struct_size: usize,
    /// The size in bytes of the largest memory. Default: 4 GiB.
    pub max_bytes: u64,
    /// How many bytes after the largest memory are inaccessible, at least. Default: 64 KiB. On
    /// systems without mappings, none: see `wasm_meminit_has_guards`.
    pub guard_bytes: u64,
    /// How many bytes before the memory are inaccessible, at least. Default: 0. On systems
    /// without mappings, none.
    pub guard_before_bytes: u64,
    /// How many bytes of written pages may stay resident between uses. Default: 4 MiB.
    pub keep_resident_bytes: u64,
    /// A `wasm_meminit_strategy`. Default: auto.
    pub strategy: u32,
    /// In how many pieces an image with large holes may be mapped: 1 to 64. Default: 8.
    pub max_pieces: u32,
}

/// The configuration of a pool. `wasm_meminit_pool_config_init` sets the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// The size of this structure: `sizeof(wasm_meminit_pool_config)`.
    pub struct_size: usize,
    /// The maximum number of slots, in use or not: at least 1. Default: 1,000.
    pub max_slots: u64,
    /// How many bytes all slots together may keep resident between uses. Default:
    /// `UINT64_MAX`, no limit.
    pub max_resident_bytes: u64,
    /// The number of shards, each with its own lock; 0 for one per processor. Default: 0.
    pub n_shards: u32,
    /// Resets slots together, once this many are queued; 0 resets each when it is freed.
    /// Default: 0.
    pub batch: u32,
}

/// What a module requires of its host.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ModuleInfo {
    /// The size of this structure: `sizeof(wasm_meminit_module_info)`.
    pub struct_size: usize,
    /// The number of memories.
    pub n_memories: u64,
    /// The number of imported globals whose values each start needs.
    pub n_globals: u64,
    /// The number of data segments that each start replays.
    pub n_replayed: u64,
    /// 1 if an active element segment may trap, otherwise 0. If so, either apply the element
    /// segments before the memories are initialised, or call `wasm_meminit_slot_zero` when
    /// they trap.
    pub elements_may_trap: u32,
    /// 1 if an image holds the effect of the module's start function, otherwise 0.
    pub has_baked_start: u32,
}

/// One memory of a module.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MemoryInfo {
    /// The size of this structure: `sizeof(wasm_meminit_memory_info)`.
    pub struct_size: usize,
    /// The size in bytes that the module declares.
    pub min_bytes: u64,
    /// The largest size in bytes that the module declares, or `UINT64_MAX`.
    pub max_bytes: u64,
    /// One past the address of the image's last byte that is not zero; 0 without an image.
    pub image_end: u64,
    /// A `wasm_meminit_value_type`: the type of its addresses.
    pub index_type: u32,
    /// 1 if the module imports it, otherwise 0.
    pub is_imported: u32,
    /// 1 if threads may share it, otherwise 0.
    pub is_shared: u32,
    /// 1 if it starts from an image, 0 if it starts zeroed.
    pub has_image: u32,
}

/// The value of a global.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Global {
    /// The index of the global in the module.
    pub index: u32,
    /// A `wasm_meminit_value_type`.
    pub value_type: u32,
    /// The bits of the value. Of an `i32`, only the lower 32 count.
    pub bits: u64,
}

/// What one reset did.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ResetReport {
    /// The size of this structure: `sizeof(wasm_meminit_reset_report)`.
    pub struct_size: usize,
    /// Size in bytes of the pages found written, as far as they were searched.
    pub written_bytes: u64,
    /// The number of ranges they form.
    pub n_ranges: u64,
    /// Size in bytes of the pages that stay resident for the next use.
    pub resident_bytes: u64,
    /// Size in bytes of the slot's page tables, as far as known.
    pub page_table_bytes: u64,
    /// The `wasm_meminit_strategy` that completed the reset.
    pub strategy: u32,
    /// Always 0.
    pub reserved: u32,
}

/// What a pool has done since it was created, and what it holds now.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PoolStats {
    /// The size of this structure: `sizeof(wasm_meminit_pool_stats)`.
    pub struct_size: usize,
    /// Starts in a slot that already held the image.
    pub n_hits: u64,
    /// Starts in a slot that held another image.
    pub n_maps: u64,
    /// Starts in a slot that held no image, or was new.
    pub n_blank: u64,
    /// Calls that waited for a slot.
    pub n_waits: u64,
    /// Resets, of all strategies and in batches.
    pub n_resets: u64,
    /// Ready slots whose pages were discarded because too many bytes were resident.
    pub n_discarded: u64,
    /// Slots dropped after a failure.
    pub n_poisoned: u64,
    /// Number of slots, in use or not.
    pub n_slots: u64,
    /// Slots that are ready now.
    pub n_ready: u64,
    /// Slots that are queued for a reset now.
    pub n_queued: u64,
    /// Size in bytes of the pages that stayed resident at the last resets.
    pub resident_bytes: u64,
    /// Size in bytes of the slots' page tables, as far as known.
    pub page_table_bytes: u64,
    /// Size in bytes of the images that slots were started from and that are still alive.
    pub image_bytes: u64,
}
