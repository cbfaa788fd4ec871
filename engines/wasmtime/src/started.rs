//! Serves a request for a memory.

use alloc::sync::Arc;
use std::sync::Mutex;

use wasm_meminit_apply::{MemoryType, PooledSlot, SlotError};

use crate::error::MemoryError;
use crate::frame::{self, Claimed, lock};
use crate::pool::Pool;

/// What the engine requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) ty: MemoryType,
    /// The initial size in bytes.
    pub(crate) bytes: u64,
    /// How far compiled code relies on the memory not moving, in bytes.
    pub(crate) reservation: u64,
    /// How many bytes after the reservation must be inaccessible.
    pub(crate) guard: u64,
}

/// A slot with a started memory, which is reset when it is dropped.
#[derive(Debug)]
pub(crate) enum Started {
    Owned(PooledSlot),
    /// Also held by the frame of the instantiation, which may have to zero it.
    Shared(Arc<Mutex<PooledSlot>>),
}

impl Started {
    /// Serves a request.
    pub(crate) fn new(pool: &Arc<Pool>, request: &Request) -> Result<Self, MemoryError> {
        let config = &pool.config;
        let is_gc_heap = request.guard == config.gc_guard();
        let is_linear = request.guard == config.guard();
        if config.reservation() != request.reservation || !(is_gc_heap || is_linear) {
            return Err(MemoryError::OtherConfig {
                reservation: request.reservation,
                guard: request.guard,
            });
        }
        if is_gc_heap {
            return Ok(Self::Owned(pool.acquire(None, request.bytes)?));
        }
        let start = |image: Option<&_>| pool.acquire(image, request.bytes);
        let claimed = frame::claim(pool, request.ty, start).inspect_err(|err| {
            // What a start function instantiates is not the module's: its failure may be handled.
            frame::fail(pool, err.clone());
        })?;
        let Some(Claimed { slot, is_zeroable }) = claimed else {
            return Ok(Self::Owned(pool.acquire(None, request.bytes)?));
        };
        if !is_zeroable {
            return Ok(Self::Owned(slot));
        }
        let slot = Arc::new(Mutex::new(slot));
        frame::record(pool, &slot);
        Ok(Self::Shared(slot))
    }

    /// Returns the address of the first byte, which is constant.
    pub(crate) fn as_ptr(&mut self) -> *mut u8 {
        match self {
            Self::Owned(slot) => slot.as_ptr(),
            Self::Shared(slot) => lock(slot).as_ptr(),
        }
    }

    /// Returns the size in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Owned(slot) => slot.len(),
            Self::Shared(slot) => lock(slot).len(),
        }
    }

    /// Returns the size in bytes up to which the memory can grow.
    pub(crate) fn max_bytes(&self) -> u64 {
        match self {
            Self::Owned(slot) => slot.max_bytes(),
            Self::Shared(slot) => lock(slot).max_bytes(),
        }
    }

    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), SlotError> {
        match self {
            Self::Owned(slot) => slot.grow(bytes),
            Self::Shared(slot) => lock(slot).grow(bytes),
        }
    }
}
