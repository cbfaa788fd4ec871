//! Pools.

use super::pointer::{check, init, read_or, run, write};
use crate::error::call;
use crate::object::{MayBeBusy, Opaque};
use crate::opaque::{Image, Module, Pool, Slot};
use crate::slot::SlotCell;
use crate::types::{PoolConfig, PoolStats, SlotConfig, Status};
use crate::{pool, slot};

/// Sets the defaults. `size` is `sizeof *config`.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_pool_config_init(
    config: *mut PoolConfig,
    size: usize,
) -> Status {
    run(|| init(config, size, pool::DEFAULT_CONFIG, "config"))
}

/// Creates a pool, whose slots are reserved when they are needed. For each configuration, null
/// stands for the defaults.
///
/// Ownership: the caller frees `*pool`; the configurations are only read. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_pool_new(
    config: *const PoolConfig,
    slot_config: *const SlotConfig,
    pool: *mut *mut Pool,
) -> Status {
    create!(pool, {
        let config = read_or(config, pool::DEFAULT_CONFIG, "config")?;
        pool::new(
            &config,
            &read_or(slot_config, slot::DEFAULT_CONFIG, "slot_config")?,
        )?
    })
}

/// Frees a pool. Null is allowed; freeing twice is undefined.
///
/// Ownership: takes `pool`; slots in use stay valid, and are unmapped when they are freed.
/// Threads: any, but after all other calls on the pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_pool_free(pool: *mut Pool) {
    free!(pool);
}

/// Starts a memory of `bytes` bytes in a slot of the pool, from an image, or zeroed if that is
/// null. Waits at most `timeout_ms` milliseconds for a slot: 0 does not wait, and a negative
/// number waits forever.
///
/// Ownership: `wasm_meminit_slot_free` resets the slot and returns it. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_pool_acquire(
    pool: *const Pool,
    image: *const Image,
    bytes: u64,
    timeout_ms: i64,
    slot: *mut *mut Slot,
) -> Status {
    create!(slot, {
        SlotCell::pooled(pool::acquire(
            object!(pool),
            optional!(image),
            bytes,
            timeout_ms,
        )?)
    })
}

/// The same for a memory of a module; `bytes` = 0 stands for the size that it declares. To
/// replay data segments too, pass the slot to `wasm_meminit_instantiate`.
///
/// Ownership and threads: as for `wasm_meminit_pool_acquire`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_pool_acquire_memory(
    pool: *const Pool,
    module: *const Module,
    index: u32,
    bytes: u64,
    timeout_ms: i64,
    slot: *mut *mut Slot,
) -> Status {
    create!(slot, {
        let memory = (object!(module), index);
        SlotCell::pooled(pool::acquire_memory(
            object!(pool),
            memory,
            bytes,
            timeout_ms,
        )?)
    })
}

/// Resets all queued slots: see `batch` in `wasm_meminit_pool_config`.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_pool_drain(pool: *const Pool) -> Status {
    run(|| {
        object!(pool).drain();
        Ok(())
    })
}

/// Drops all slots that hold an image, so that its memory can be freed: for a module that is
/// unloaded. Slots in use are dropped when they are freed.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_pool_evict(pool: *const Pool, image: *const Image) -> Status {
    run(|| {
        object!(pool).evict(object!(image));
        Ok(())
    })
}

/// Returns what the pool has done and what it holds. Set `stats->struct_size`.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wasm_meminit_pool_get_stats(
    pool: *const Pool,
    stats: *mut PoolStats,
) -> Status {
    run(|| write(stats, pool::stats(object!(pool)), "stats"))
}
