//! Pools.

use alloc::sync::Arc;
use core::num::NonZeroUsize;
use core::time::Duration;

use wasm_meminit::apply::{MemoryImage, PoolConfig, PooledSlot, PreparedModule, ResetOn, SlotPool};

use crate::error::Error;
use crate::module;
use crate::types;

pub(crate) const DEFAULT_CONFIG: types::PoolConfig = types::PoolConfig {
    struct_size: size_of::<types::PoolConfig>(),
    max_slots: 1000,
    max_resident_bytes: u64::MAX,
    n_shards: 0,
    batch: 0,
};

pub(crate) fn new(config: &types::PoolConfig, slot: &types::SlotConfig) -> Result<SlotPool, Error> {
    let max_slots = usize::try_from(config.max_slots).unwrap_or(usize::MAX);
    let max_slots = NonZeroUsize::new(max_slots)
        .ok_or_else(|| Error::invalid("max_slots is 0, expected at least 1"))?;
    let number = |number: u32| NonZeroUsize::new(usize::try_from(number).unwrap_or(usize::MAX));
    let mut ours = PoolConfig::new(crate::slot::config(slot)?, max_slots)
        .with_max_resident(config.max_resident_bytes);
    if let Some(n_shards) = number(config.n_shards) {
        ours = ours.with_shards(n_shards);
    }
    if let Some(batch) = number(config.batch) {
        ours = ours.with_reset_on(ResetOn::Batch(batch));
    }
    Ok(SlotPool::new(ours))
}

/// Acquires a slot; a negative timeout waits forever, and 0 does not wait.
pub(crate) fn acquire(
    pool: &SlotPool,
    image: Option<&Arc<MemoryImage>>,
    bytes: u64,
    timeout_ms: i64,
) -> Result<PooledSlot, Error> {
    Ok(match u64::try_from(timeout_ms) {
        Err(_) => pool.acquire(image, bytes),
        Ok(0) => pool.try_acquire(image, bytes),
        Ok(ms) => pool.acquire_timeout(image, bytes, Duration::from_millis(ms)),
    }?)
}

/// Acquires a slot for a memory of a module; 0 bytes stand for the size that it declares.
pub(crate) fn acquire_memory(
    pool: &SlotPool,
    (module, index): (&PreparedModule, u32),
    bytes: u64,
    timeout_ms: i64,
) -> Result<PooledSlot, Error> {
    let memory = module::memory(module, index)?;
    let bytes = match bytes {
        0 => memory.min_bytes(),
        bytes => bytes,
    };
    acquire(pool, memory.image(), bytes, timeout_ms)
}

pub(crate) fn stats(pool: &SlotPool) -> types::PoolStats {
    let stats = pool.stats();
    types::PoolStats {
        struct_size: size_of::<types::PoolStats>(),
        n_hits: stats.n_hits,
        n_maps: stats.n_maps,
        n_blank: stats.n_blank,
        n_waits: stats.n_waits,
        n_resets: stats.n_scan_resets
            + stats.n_discard_resets
            + stats.n_remap_resets
            + stats.n_copy_resets
            + stats.n_batched
            + stats.n_unbatched,
        n_discarded: stats.n_discarded,
        n_poisoned: stats.n_poisoned,
        n_slots: stats.n_slots,
        n_ready: stats.n_ready,
        n_queued: stats.n_queued,
        resident_bytes: stats.resident_bytes,
        page_table_bytes: stats.page_table_bytes,
        image_bytes: stats.image_bytes,
    }
}
