// wasm-meminit: initialises the linear memories of WebAssembly modules from images that are
// built ahead of time, and resets them. Written by cbindgen from the sources; see README.md.
//
// Rules for every function:
//
// * A pointer to an opaque type is null, or was returned by this library and has not been
//   freed. Objects may be freed in any order, each once, and not during another call on them.
//   Null and objects of the wrong kind are errors.
// * A pointer with a length is valid for that many elements during the call. Text is UTF-8 and
//   ends with a NUL.
// * A structure that begins with `struct_size` has it set by the caller: to `sizeof` its type.
//   The library accepts structures of older and of newer headers.
// * A function that creates an object sets the result to null if it fails.
// * A function that fails says why: `wasm_meminit_last_error`. Those that return no status
//   return null or 0. A success does not change the last error.
// * "Threads: any" allows calls from all threads, at the same time. "One at a time" means that
//   calls for the same object must not overlap, whichever threads they come from; those that
//   do fail with `WASM_MEMINIT_STATUS_BUSY`.

#ifndef WASM_MEMINIT_H
#define WASM_MEMINIT_H

#include <stddef.h>
#include <stdint.h>

/// The result of a call.
enum wasm_meminit_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /// Success.
    WASM_MEMINIT_STATUS_OK = 0,
    /// A required pointer is null.
    WASM_MEMINIT_STATUS_NULL_POINTER = 1,
    /// An argument has a value that is not allowed.
    WASM_MEMINIT_STATUS_INVALID_ARGUMENT = 2,
    /// A pointer refers to another kind of object.
    WASM_MEMINIT_STATUS_WRONG_KIND = 3,
    /// Another call is using the object at this moment, or it was passed twice to one call.
    WASM_MEMINIT_STATUS_BUSY = 4,
    /// The slot is in use, or is not in use, or belongs to a pool.
    WASM_MEMINIT_STATUS_WRONG_STATE = 5,
    /// An earlier failure could not be undone: the object can only be freed.
    WASM_MEMINIT_STATUS_POISONED = 6,
    /// A size does not fit: the memory its slot, or the image its memory.
    WASM_MEMINIT_STATUS_DOES_NOT_FIT = 7,
    /// The input is not an artifact, or not a module, or it is damaged.
    WASM_MEMINIT_STATUS_MALFORMED = 8,
    /// The artifact was built for a host that supplies something else.
    WASM_MEMINIT_STATUS_HOST_MISMATCH = 9,
    /// The program traps: a data segment does not fit its memory.
    WASM_MEMINIT_STATUS_TRAP = 10,
    /// All slots of the pool are in use.
    WASM_MEMINIT_STATUS_EXHAUSTED = 11,
    /// No slot was returned to the pool before the timeout.
    WASM_MEMINIT_STATUS_TIMED_OUT = 12,
    /// The module has no such memory or global.
    WASM_MEMINIT_STATUS_NOT_FOUND = 13,
    /// The operating system refused. The error information has its error number.
    WASM_MEMINIT_STATUS_SYSTEM = 14,
    /// This system, or this build of the library, does not support the call.
    WASM_MEMINIT_STATUS_UNSUPPORTED = 15,
    /// A bug in the library.
    WASM_MEMINIT_STATUS_INTERNAL = 16,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wasm_meminit_status wasm_meminit_status;
#else
typedef int32_t wasm_meminit_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/// How a slot removes what a use has written. All strategies have the same effect.
enum wasm_meminit_strategy
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /// Chooses by the system and the last uses.
    WASM_MEMINIT_STRATEGY_AUTO = 0,
    /// Finds the pages that were written and copies their initial contents over them.
    WASM_MEMINIT_STRATEGY_SCAN_AND_COPY = 1,
    /// Discards all pages.
    WASM_MEMINIT_STRATEGY_DISCARD = 2,
    /// Replaces the mappings.
    WASM_MEMINIT_STRATEGY_REMAP = 3,
    /// Compares every byte.
    WASM_MEMINIT_STRATEGY_COPY = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wasm_meminit_strategy wasm_meminit_strategy;
#else
typedef uint32_t wasm_meminit_strategy;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/// The type of a global, or of the addresses of a memory.
enum wasm_meminit_value_type
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /// 32 bits.
    WASM_MEMINIT_VALUE_TYPE_I32 = 0,
    /// 64 bits.
    WASM_MEMINIT_VALUE_TYPE_I64 = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wasm_meminit_value_type wasm_meminit_value_type;
#else
typedef uint32_t wasm_meminit_value_type;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/// How a host treats the start function of a threaded module.
enum wasm_meminit_start_function
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /// It runs unchanged.
    WASM_MEMINIT_START_FUNCTION_UNCHANGED = 0,
    /// It finds the memory already initialised.
    WASM_MEMINIT_START_FUNCTION_ALREADY_INITIALIZED = 1,
    /// The same, and the host provides thread-local storage.
    WASM_MEMINIT_START_FUNCTION_ALREADY_INITIALIZED_TLS = 2,
    /// It runs with nothing left to write.
    WASM_MEMINIT_START_FUNCTION_WRITES_STRIPPED = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wasm_meminit_start_function wasm_meminit_start_function;
#else
typedef uint32_t wasm_meminit_start_function;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/// Bytes that belong to the library: an artifact, a module, a text.
typedef struct wasm_meminit_bytes wasm_meminit_bytes;

/// What a host supplies to the imports of a module.
typedef struct wasm_meminit_host wasm_meminit_host;

/// The initial contents of one memory.
typedef struct wasm_meminit_image wasm_meminit_image;

/// A module's memories, prepared for any number of instances.
typedef struct wasm_meminit_module wasm_meminit_module;

/// Slots that the threads of a process share.
typedef struct wasm_meminit_pool wasm_meminit_pool;

/// One reservation of address space, for one memory after another.
typedef struct wasm_meminit_slot wasm_meminit_slot;

/// The last error of a thread.
typedef struct {
    /// The size of this structure: `sizeof(wasm_meminit_error_info)`.
    size_t struct_size;
    /// A `wasm_meminit_status`.
    int32_t status;
    /// The error number of the operating system (errno), or 0.
    int32_t os_error;
    /// The data segment that could not be written, or `UINT32_MAX`.
    uint32_t segment;
    /// The memory that the error is about, or `UINT32_MAX`.
    uint32_t memory;
    /// The same as `wasm_meminit_last_error` returns.
    const char *message;
} wasm_meminit_error_info;

/// What a module requires of its host.
typedef struct {
    /// The size of this structure: `sizeof(wasm_meminit_module_info)`.
    size_t struct_size;
    /// The number of memories.
    uint64_t n_memories;
    /// The number of imported globals whose values each start needs.
    uint64_t n_globals;
    /// The number of data segments that each start replays.
    uint64_t n_replayed;
    /// 1 if an active element segment may trap, otherwise 0. If so, either apply the element
    /// segments before the memories are initialised, or call `wasm_meminit_slot_zero` when
    /// they trap.
    uint32_t elements_may_trap;
    /// 1 if an image holds the effect of the module's start function, otherwise 0.
    uint32_t has_baked_start;
} wasm_meminit_module_info;

/// One memory of a module.
typedef struct {
    /// The size of this structure: `sizeof(wasm_meminit_memory_info)`.
    size_t struct_size;
    /// The size in bytes that the module declares.
    uint64_t min_bytes;
    /// The largest size in bytes that the module declares, or `UINT64_MAX`.
    uint64_t max_bytes;
    /// One past the address of the image's last byte that is not zero; 0 without an image.
    uint64_t image_end;
    /// A `wasm_meminit_value_type`: the type of its addresses.
    uint32_t index_type;
    /// 1 if the module imports it, otherwise 0.
    uint32_t is_imported;
    /// 1 if threads may share it, otherwise 0.
    uint32_t is_shared;
    /// 1 if it starts from an image, 0 if it starts zeroed.
    uint32_t has_image;
} wasm_meminit_memory_info;

/// The value of a global.
typedef struct {
    /// The index of the global in the module.
    uint32_t index;
    /// A `wasm_meminit_value_type`.
    uint32_t value_type;
    /// The bits of the value. Of an `i32`, only the lower 32 count.
    uint64_t bits;
} wasm_meminit_global;

/// The configuration of a slot. `wasm_meminit_slot_config_init` sets the defaults.
typedef struct {
    /// The size of this structure: `sizeof(wasm_meminit_slot_config)`.
    size_t struct_size;
    /// The size in bytes of the largest memory. Default: 4 GiB.
    uint64_t max_bytes;
    /// How many bytes after the largest memory are inaccessible, at least. Default: 64 KiB. On
    /// systems without mappings, none: see `wasm_meminit_has_guards`.
    uint64_t guard_bytes;
    /// How many bytes before the memory are inaccessible, at least. Default: 0. On systems
    /// without mappings, none.
    uint64_t guard_before_bytes;
    /// How many bytes of written pages may stay resident between uses. Default: 4 MiB.
    uint64_t keep_resident_bytes;
    /// A `wasm_meminit_strategy`. Default: auto.
    uint32_t strategy;
    /// In how many pieces an image with large holes may be mapped: 1 to 64. Default: 8.
    uint32_t max_pieces;
} wasm_meminit_slot_config;

/// What one reset did.
typedef struct {
    /// The size of this structure: `sizeof(wasm_meminit_reset_report)`.
    size_t struct_size;
    /// Size in bytes of the pages found written, as far as they were searched.
    uint64_t written_bytes;
    /// The number of ranges they form.
    uint64_t n_ranges;
    /// Size in bytes of the pages that stay resident for the next use.
    uint64_t resident_bytes;
    /// Size in bytes of the slot's page tables, as far as known.
    uint64_t page_table_bytes;
    /// The `wasm_meminit_strategy` that completed the reset.
    uint32_t strategy;
    /// Always 0.
    uint32_t reserved;
} wasm_meminit_reset_report;

/// The configuration of a pool. `wasm_meminit_pool_config_init` sets the defaults.
typedef struct {
    /// The size of this structure: `sizeof(wasm_meminit_pool_config)`.
    size_t struct_size;
    /// The maximum number of slots, in use or not: at least 1. Default: 1,000.
    uint64_t max_slots;
    /// How many bytes all slots together may keep resident between uses. Default:
    /// `UINT64_MAX`, no limit.
    uint64_t max_resident_bytes;
    /// The number of shards, each with its own lock; 0 for one per processor. Default: 0.
    uint32_t n_shards;
    /// Resets slots together, once this many are queued; 0 resets each when it is freed.
    /// Default: 0.
    uint32_t batch;
} wasm_meminit_pool_config;

/// What a pool has done since it was created, and what it holds now.
typedef struct {
    /// The size of this structure: `sizeof(wasm_meminit_pool_stats)`.
    size_t struct_size;
    /// Starts in a slot that already held the image.
    uint64_t n_hits;
    /// Starts in a slot that held another image.
    uint64_t n_maps;
    /// Starts in a slot that held no image, or was new.
    uint64_t n_blank;
    /// Calls that waited for a slot.
    uint64_t n_waits;
    /// Resets, of all strategies and in batches.
    uint64_t n_resets;
    /// Ready slots whose pages were discarded because too many bytes were resident.
    uint64_t n_discarded;
    /// Slots dropped after a failure.
    uint64_t n_poisoned;
    /// Number of slots, in use or not.
    uint64_t n_slots;
    /// Slots that are ready now.
    uint64_t n_ready;
    /// Slots that are queued for a reset now.
    uint64_t n_queued;
    /// Size in bytes of the pages that stayed resident at the last resets.
    uint64_t resident_bytes;
    /// Size in bytes of the slots' page tables, as far as known.
    uint64_t page_table_bytes;
    /// Size in bytes of the images that slots were started from and that are still alive.
    uint64_t image_bytes;
} wasm_meminit_pool_stats;

/// One memory of an instance: a slot or, if that is null, bytes of the host.
typedef struct {
    /// The size of this structure: `sizeof(wasm_meminit_memory)`.
    size_t struct_size;
    /// A ready slot, or one from a pool that was acquired for this memory, and in which no module
    /// was started since.
    wasm_meminit_slot *slot;
    /// The bytes of a memory that is not in a slot, each of them zero unless the memory is
    /// imported and has no image. Ignored if there is a slot.
    uint8_t *data;
    /// With `data`, its size in bytes. With a slot of its own, the initial size in bytes, or 0
    /// for the size that the module declares. Ignored for a slot of a pool.
    uint64_t bytes;
} wasm_meminit_memory;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/// Returns the version of the library, such as "0.1.0".
///
/// Ownership: static. Threads: any.
const char *wasm_meminit_version(void);

/// Returns the message of the last call of this thread that failed; "" if none has.
///
/// Ownership: the library's, until the next failure or the end of this thread. Threads: any;
/// each has its own.
const char *wasm_meminit_last_error(void);

/// Describes the last call of this thread that failed, in numbers. Set `info->struct_size`.
///
/// Ownership: `info->message` is the library's, as for `wasm_meminit_last_error`. Threads: any.
wasm_meminit_status wasm_meminit_last_error_info(wasm_meminit_error_info *info);

/// Describes in text what the system supports, and why not the rest.
///
/// Ownership: the caller frees `*text`. Threads: any.
wasm_meminit_status wasm_meminit_capabilities(wasm_meminit_bytes **text);

/// Returns 1 if memories of slots have guards and never move, otherwise 0: on systems without
/// mappings, such as Windows. Code that omits bounds checks, or that keeps the address of a memory
/// while it grows, must not use slots there.
///
/// Threads: any.
uint32_t wasm_meminit_has_guards(void);

/// Returns the address of the first byte; null if there are none.
///
/// Ownership: the object's. Threads: any.
const uint8_t *wasm_meminit_bytes_data(const wasm_meminit_bytes *bytes);

/// Returns the number of bytes; 0 on failure.
///
/// Threads: any.
size_t wasm_meminit_bytes_len(const wasm_meminit_bytes *bytes);

/// Frees bytes. Null is allowed; freeing twice is undefined.
///
/// Ownership: takes `bytes`. Threads: any, but after all other uses.
void wasm_meminit_bytes_free(wasm_meminit_bytes *bytes);

/// Builds the artifact of a core module in the binary format.
///
/// Ownership: the caller frees `*artifact`; `wasm` is only read. Threads: any.
wasm_meminit_status wasm_meminit_build(const uint8_t *wasm,
                                       size_t len,
                                       wasm_meminit_bytes **artifact);

/// Returns the same module without the data that is in its artifact, for an engine whose
/// memories start from images.
///
/// Ownership: the caller frees `*stripped`; `wasm` is only read. Threads: any.
wasm_meminit_status wasm_meminit_strip(const uint8_t *wasm,
                                       size_t len,
                                       wasm_meminit_bytes **stripped);

/// Returns the same module with its memories imported from `import_module`, as `memory0` and
/// so on, for a host that owns the memories.
///
/// Ownership: the caller frees `*external`; the rest is only read. Threads: any.
wasm_meminit_status wasm_meminit_externalize(const uint8_t *wasm,
                                             size_t len,
                                             const char *import_module,
                                             wasm_meminit_bytes **external);

/// Creates a host that declares nothing.
///
/// Ownership: the caller frees `*host`. Threads: any.
wasm_meminit_status wasm_meminit_host_new(wasm_meminit_host **host);

/// Frees a host. Null is allowed; freeing twice is undefined.
///
/// Ownership: takes `host`; modules loaded for it stay valid. Threads: as for bytes.
void wasm_meminit_host_free(wasm_meminit_host *host);

/// Declares the value of an imported global, of a `wasm_meminit_value_type`.
///
/// Ownership: the names are copied. Threads: one at a time for each host.
wasm_meminit_status wasm_meminit_host_add_global(wasm_meminit_host *host,
                                                 const char *module,
                                                 const char *name,
                                                 uint32_t value_type,
                                                 uint64_t bits);

/// Declares an imported memory of at least this size. With `is_fresh` = 1, promises that it is
/// zero at each start and imported under no other name; with 0, it may have any contents.
///
/// Ownership: the names are copied. Threads: one at a time for each host.
wasm_meminit_status wasm_meminit_host_add_memory(wasm_meminit_host *host,
                                                 const char *module,
                                                 const char *name,
                                                 uint64_t bytes,
                                                 uint32_t is_fresh);

/// Promises to treat a start function in this way, a `wasm_meminit_start_function`.
///
/// Threads: one at a time for each host.
wasm_meminit_status wasm_meminit_host_set_start_function(wasm_meminit_host *host,
                                                         uint32_t treatment);

/// Checks an artifact completely, and prepares its module for any number of instances. `host`
/// is what it must have been built for; null declares nothing, which most artifacts allow.
///
/// Ownership: the caller frees `*module`; `artifact` and `host` are only read. Threads: any.
wasm_meminit_status wasm_meminit_module_load(const uint8_t *artifact,
                                             size_t len,
                                             const wasm_meminit_host *host,
                                             wasm_meminit_module **module);

/// The same with a file, whose path is UTF-8. It may be changed or removed afterwards.
///
/// Ownership: the caller frees `*module`; `host` is only read. Threads: any.
wasm_meminit_status wasm_meminit_module_load_file(const char *path,
                                                  const wasm_meminit_host *host,
                                                  wasm_meminit_module **module);

/// Frees a module. Null is allowed; freeing twice is undefined.
///
/// Ownership: takes `module`; its images and slots stay valid. Threads: as for bytes.
void wasm_meminit_module_free(wasm_meminit_module *module);

/// Describes a module. Set `info->struct_size`.
///
/// Threads: any.
wasm_meminit_status wasm_meminit_module_get_info(const wasm_meminit_module *module,
                                                 wasm_meminit_module_info *info);

/// Describes a memory by its index; imported memories come first. Set `info->struct_size`.
///
/// Threads: any.
wasm_meminit_status wasm_meminit_module_get_memory(const wasm_meminit_module *module,
                                                   uint32_t index,
                                                   wasm_meminit_memory_info *info);

/// Returns the index and the type of the `nth` imported global that each start needs.
///
/// Threads: any.
wasm_meminit_status wasm_meminit_module_get_global(const wasm_meminit_module *module,
                                                   uint64_t nth,
                                                   wasm_meminit_global *global);

/// Returns the image of a memory, or a failure with the status `NOT_FOUND` if it starts zeroed.
///
/// Ownership: the caller frees `*image`, before or after the module. Threads: any.
wasm_meminit_status wasm_meminit_module_get_image(const wasm_meminit_module *module,
                                                  uint32_t index,
                                                  wasm_meminit_image **image);

/// Makes an image of the contents of a memory, for example of a program that has run.
///
/// Ownership: the caller frees `*image`; `memory` is only read. Threads: any.
wasm_meminit_status wasm_meminit_image_capture(const uint8_t *memory,
                                               size_t len,
                                               wasm_meminit_image **image);

/// Frees an image. Null is allowed; freeing twice is undefined.
///
/// Ownership: takes `image`; slots started from it stay valid. Threads: as for bytes.
void wasm_meminit_image_free(wasm_meminit_image *image);

/// Sets the defaults. `size` is `sizeof *config`.
///
/// Threads: any.
wasm_meminit_status wasm_meminit_slot_config_init(wasm_meminit_slot_config *config,
                                                  size_t size);

/// Reserves address space for one memory after another. Null stands for the defaults.
///
/// Ownership: the caller frees `*slot`; `config` is only read. Threads: any.
wasm_meminit_status wasm_meminit_slot_new(const wasm_meminit_slot_config *config,
                                          wasm_meminit_slot **slot);

/// Frees a slot, or resets one of a pool and returns it. Null is allowed; freeing twice is
/// undefined. A slot that another call is using is not freed: it is lost.
///
/// Ownership: takes `slot`; no code may use its memory any more. Threads: one at a time for each
/// slot.
void wasm_meminit_slot_free(wasm_meminit_slot *slot);

/// Starts a memory of `bytes` bytes in a ready slot, from an image, or zeroed if that is null.
/// For a module, use `wasm_meminit_instantiate`, which replays data segments too.
///
/// Ownership: the slot keeps the image alive. Threads: one at a time for each slot.
wasm_meminit_status wasm_meminit_slot_start(wasm_meminit_slot *slot,
                                            const wasm_meminit_image *image,
                                            uint64_t bytes);

/// Grows the memory to `bytes` bytes; the new ones are zero. The memory does not move on
/// systems with mappings.
///
/// Threads: one at a time for each slot, also while programs run in the memory.
wasm_meminit_status wasm_meminit_slot_grow(wasm_meminit_slot *slot, uint64_t bytes);

/// Makes every byte of a memory in use zero, as if there were no image.
///
/// Threads: one at a time for each slot; no program may run in the memory.
wasm_meminit_status wasm_meminit_slot_zero(wasm_meminit_slot *slot);

/// Ends the use, and resets the slot to its initial contents: the next use sees nothing of this
/// one. `report` may be null; otherwise set `report->struct_size`.
///
/// Ownership: no code may use the memory until the next start. Threads: as for `slot_zero`.
wasm_meminit_status wasm_meminit_slot_reset(wasm_meminit_slot *slot,
                                            wasm_meminit_reset_report *report);

/// Returns the address of the memory's first byte. It stays the same from the slot's creation
/// to its end, on systems with mappings. Only the bytes before `wasm_meminit_slot_len` may be
/// accessed; null on failure.
///
/// Ownership: the slot's. Threads: any, also during another call.
uint8_t *wasm_meminit_slot_data(const wasm_meminit_slot *slot);

/// Returns the size of the memory in bytes; 0 if it is not in use, and on failure.
///
/// Threads: any, also during another call.
uint64_t wasm_meminit_slot_len(const wasm_meminit_slot *slot);

/// Returns the size in bytes of the largest memory that fits the slot; 0 on failure.
///
/// Threads: any, also during another call.
uint64_t wasm_meminit_slot_max_bytes(const wasm_meminit_slot *slot);

/// Sets the defaults. `size` is `sizeof *config`.
///
/// Threads: any.
wasm_meminit_status wasm_meminit_pool_config_init(wasm_meminit_pool_config *config,
                                                  size_t size);

/// Creates a pool, whose slots are reserved when they are needed. For each configuration, null
/// stands for the defaults.
///
/// Ownership: the caller frees `*pool`; the configurations are only read. Threads: any.
wasm_meminit_status wasm_meminit_pool_new(const wasm_meminit_pool_config *config,
                                          const wasm_meminit_slot_config *slot_config,
                                          wasm_meminit_pool **pool);

/// Frees a pool. Null is allowed; freeing twice is undefined.
///
/// Ownership: takes `pool`; slots in use stay valid, and are unmapped when they are freed.
/// Threads: any, but after all other calls on the pool.
void wasm_meminit_pool_free(wasm_meminit_pool *pool);

/// Starts a memory of `bytes` bytes in a slot of the pool, from an image, or zeroed if that is
/// null. Waits at most `timeout_ms` milliseconds for a slot: 0 does not wait, and a negative
/// number waits forever.
///
/// Ownership: `wasm_meminit_slot_free` resets the slot and returns it. Threads: any.
wasm_meminit_status wasm_meminit_pool_acquire(const wasm_meminit_pool *pool,
                                              const wasm_meminit_image *image,
                                              uint64_t bytes,
                                              int64_t timeout_ms,
                                              wasm_meminit_slot **slot);

/// The same for a memory of a module; `bytes` = 0 stands for the size that it declares. To
/// replay data segments too, pass the slot to `wasm_meminit_instantiate`.
///
/// Ownership and threads: as for `wasm_meminit_pool_acquire`.
wasm_meminit_status wasm_meminit_pool_acquire_memory(const wasm_meminit_pool *pool,
                                                     const wasm_meminit_module *module,
                                                     uint32_t index,
                                                     uint64_t bytes,
                                                     int64_t timeout_ms,
                                                     wasm_meminit_slot **slot);

/// Resets all queued slots: see `batch` in `wasm_meminit_pool_config`.
///
/// Threads: any.
wasm_meminit_status wasm_meminit_pool_drain(const wasm_meminit_pool *pool);

/// Drops all slots that hold an image, so that its memory can be freed: for a module that is
/// unloaded. Slots in use are dropped when they are freed.
///
/// Threads: any.
wasm_meminit_status wasm_meminit_pool_evict(const wasm_meminit_pool *pool,
                                            const wasm_meminit_image *image);

/// Returns what the pool has done and what it holds. Set `stats->struct_size`.
///
/// Threads: any.
wasm_meminit_status wasm_meminit_pool_get_stats(const wasm_meminit_pool *pool,
                                                wasm_meminit_pool_stats *stats);

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
wasm_meminit_status wasm_meminit_instantiate(const wasm_meminit_module *module,
                                             const wasm_meminit_memory *memory,
                                             size_t n_memories,
                                             const wasm_meminit_global *global,
                                             size_t n_globals);

/// The same without the replay: for an engine that runs the stripped module, and so writes the
/// remaining data segments itself.
///
/// Ownership and threads: as for `wasm_meminit_instantiate`. Never a trap.
wasm_meminit_status wasm_meminit_place_images(const wasm_meminit_module *module,
                                              const wasm_meminit_memory *memory,
                                              size_t n_memories);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WASM_MEMINIT_H */
