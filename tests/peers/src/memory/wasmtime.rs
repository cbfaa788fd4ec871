//! wasmtime: `Config::with_host_memory`.
#![allow(unsafe_code, reason = "the engine's traits are unsafe")]

use alloc::sync::Arc;
use core::sync::atomic::{AtomicPtr, Ordering};

use wasm_meminit_apply::PooledSlot;
use wasmtime::{Config, LinearMemory, MemoryCreator, MemoryType};

use super::Memories;

// ANCHOR: wasmtime
/// The reservation in bytes: what a 32-bit address can reach, so that memories never move.
pub(crate) const RESERVATION: u64 = 4 << 30;
/// The guard in bytes: what an instruction's offset may add without a check.
pub(crate) const GUARD: u64 = 32 << 20;

/// Configures an engine whose modules' own memories start from one image.
pub(crate) fn config(memories: Memories) -> Config {
    let mut config = Config::new();
    config
        .memory_reservation(RESERVATION)
        .memory_guard_size(GUARD)
        .with_host_memory(Arc::new(Creator(memories)));
    config
}

struct Creator(Memories);

// SAFETY: each memory is in its own slot, separate from all others. A slot has the requested
// reservation and guard, or is not created, and growth never moves it.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        // Excluding the guard.
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let asked = (reserved_size_in_bytes.unwrap_or(0), guard_size_in_bytes);
        if RESERVATION < asked.0 as u64 || GUARD < asked.1 as u64 {
            return Err(format!("larger than the reservation: {asked:?}"));
        }
        let slot = self.0.start(minimum as u64);
        let mut slot = slot.map_err(|err| format!("{err:#}"))?;
        Ok(Box::new(Linear {
            base: AtomicPtr::new(slot.as_ptr()),
            slot,
        }))
    }
}

/// A slot, which is returned and reset when it is dropped with its store.
struct Linear {
    /// Constant; atomic so that it can be shared between threads.
    base: AtomicPtr<u8>,
    slot: PooledSlot,
}

// SAFETY: `base` is valid for `byte_size` bytes for as long as the slot lives, and every access
// after them, up to the end of the guard, faults.
unsafe impl LinearMemory for Linear {
    fn byte_size(&self) -> usize {
        self.slot.as_slice().len()
    }

    fn byte_capacity(&self) -> usize {
        usize::try_from(self.slot.max_bytes()).unwrap_or(usize::MAX)
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        Ok(self.slot.grow(new_size as u64)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.base.load(Ordering::Relaxed)
    }
}
// ANCHOR_END: wasmtime
