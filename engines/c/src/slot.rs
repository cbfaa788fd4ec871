//! Slots: a caller's own, and those of a pool.

use alloc::sync::Arc;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use wasm_meminit::apply::{
    InstanceMemory, MemoryImage, MemorySlot, PooledSlot, ResetReport, SlotConfig, Strategy,
};

use crate::error::Error;
use crate::lock::{expect_idle, lock};
use crate::types::{self, Status};

/// A slot, with its base address and size, which can be read during another call.
#[derive(Debug)]
pub(crate) struct SlotCell {
    kind: Mutex<Kind>,
    // Invariant: what `kind` says, whenever it is not locked.
    base: AtomicPtr<u8>,
    len: AtomicU64,
    max_bytes: u64,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "every object is in a box already"
)]
enum Kind {
    Own(MemorySlot),
    Pooled {
        slot: PooledSlot,
        /// A module was started in it, and may have written to it since.
        is_started: bool,
    },
}

/// A slot during a call.
pub(crate) struct Locked<'a> {
    kind: MutexGuard<'a, Kind>,
    cell: &'a SlotCell,
}

impl SlotCell {
    pub(crate) fn own(slot: MemorySlot) -> Self {
        Self::new(slot.max_bytes(), Kind::Own(slot))
    }

    pub(crate) fn pooled(slot: PooledSlot) -> Self {
        let max_bytes = slot.max_bytes();
        let is_started = false;
        Self::new(max_bytes, Kind::Pooled { slot, is_started })
    }

    fn new(max_bytes: u64, kind: Kind) -> Self {
        let cell = Self {
            kind: Mutex::new(kind),
            base: AtomicPtr::new(ptr::null_mut()),
            len: AtomicU64::new(0),
            max_bytes,
        };
        // Dropped at once, which sets both.
        drop(cell.lock());
        cell
    }

    /// Locks the slot for one call.
    pub(crate) fn lock(&self) -> Result<Locked<'_>, Error> {
        let kind = lock(&self.kind, "slot")?;
        Ok(Locked { kind, cell: self })
    }

    /// Returns an error if another call is using the slot.
    pub(crate) fn expect_free(&self) -> Result<(), Error> {
        expect_idle(self.kind.try_lock(), "slot")
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base.load(Ordering::Acquire)
    }

    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }
}

impl Locked<'_> {
    pub(crate) fn start(
        &mut self,
        image: Option<&Arc<MemoryImage>>,
        bytes: u64,
    ) -> Result<(), Error> {
        Ok(self.own()?.instantiate(image, bytes)?)
    }

    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), Error> {
        Ok(match &mut *self.kind {
            Kind::Own(slot) => slot.grow(bytes),
            Kind::Pooled { slot, .. } => slot.grow(bytes),
        }?)
    }

    pub(crate) fn zero(&mut self) -> Result<(), Error> {
        Ok(match &mut *self.kind {
            Kind::Own(slot) => slot.zero(),
            Kind::Pooled { slot, .. } => slot.zero(),
        }?)
    }

    pub(crate) fn reset(&mut self) -> Result<types::ResetReport, Error> {
        Ok(report(&self.own()?.reset()?))
    }

    /// Returns the slot for the start of a module. 0 stands for the size that it declares.
    pub(crate) fn memory(&mut self, bytes: u64) -> Result<InstanceMemory<'_>, Error> {
        match &mut *self.kind {
            Kind::Own(slot) => Ok(InstanceMemory::Slot {
                slot,
                bytes: (bytes != 0).then_some(bytes),
            }),
            Kind::Pooled {
                is_started: true, ..
            } => Err(Error::new(
                Status::WrongState,
                "a module was started in the slot before\n\
                 hint: free the slot, and acquire another one",
            )),
            Kind::Pooled { slot, .. } => Ok(slot.into()),
        }
    }

    /// Records that a module was started, whether it trapped or not.
    pub(crate) fn started(&mut self) {
        if let Kind::Pooled { is_started, .. } = &mut *self.kind {
            *is_started = true;
        }
    }

    fn own(&mut self) -> Result<&mut MemorySlot, Error> {
        match &mut *self.kind {
            Kind::Own(slot) => Ok(slot),
            Kind::Pooled { .. } => Err(Error::new(
                Status::WrongState,
                "the slot belongs to a pool, which starts and resets it\n\
                 hint: free the slot, and acquire another one",
            )),
        }
    }
}

/// Keeps the invariant of the cell, also if the call failed.
impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let (base, len) = match &mut *self.kind {
            Kind::Own(slot) => (slot.as_ptr(), slot.len()),
            Kind::Pooled { slot, .. } => (slot.as_ptr(), slot.len()),
        };
        self.cell.base.store(base, Ordering::Release);
        self.cell.len.store(len, Ordering::Release);
    }
}

const STRATEGIES: [(types::Strategy, Strategy); 5] = [
    (types::Strategy::Auto, Strategy::Auto),
    (types::Strategy::ScanAndCopy, Strategy::ScanAndCopy),
    (types::Strategy::Discard, Strategy::Discard),
    (types::Strategy::Remap, Strategy::Remap),
    (types::Strategy::Copy, Strategy::Copy),
];

pub(crate) const DEFAULT_CONFIG: types::SlotConfig = types::SlotConfig {
    struct_size: size_of::<types::SlotConfig>(),
    max_bytes: 4 << 30,
    guard_bytes: 64 << 10,
    guard_before_bytes: 0,
    keep_resident_bytes: 4 << 20,
    strategy: types::Strategy::Auto as u32,
    max_pieces: 8,
};

/// Checks a configuration.
pub(crate) fn config(config: &types::SlotConfig) -> Result<SlotConfig, Error> {
    let strategy = STRATEGIES
        .iter()
        .find(|(number, _)| *number as u32 == config.strategy);
    let (_, strategy) = strategy
        .ok_or_else(|| Error::invalid(format_args!("no reset strategy: {}", config.strategy)))?;
    if !(1..=64).contains(&config.max_pieces) {
        return Err(Error::invalid(format_args!(
            "max_pieces is {}, expected 1 to 64",
            config.max_pieces
        )));
    }
    let max_pieces = usize::try_from(config.max_pieces).unwrap_or(usize::MAX);
    Ok(SlotConfig::new(config.max_bytes)
        .with_guard(config.guard_bytes)
        .with_guard_before(config.guard_before_bytes)
        .with_keep_resident(config.keep_resident_bytes)
        .with_strategy(*strategy)
        .with_max_pieces(max_pieces))
}

fn report(report: &ResetReport) -> types::ResetReport {
    let strategy = STRATEGIES.iter().find(|(_, ours)| *ours == report.by);
    types::ResetReport {
        struct_size: size_of::<types::ResetReport>(),
        written_bytes: report.written_bytes,
        n_ranges: report.n_ranges,
        resident_bytes: report.resident_bytes,
        page_table_bytes: report.page_table_bytes,
        // A strategy of a later version, which has no number yet, is not a reset's failure.
        strategy: strategy.map_or(u32::MAX, |(number, _)| *number as u32),
        reserved: 0,
    }
}
