//! One reservation of address space that serves many instances in turn.

use alloc::sync::Arc;

use super::ageing::Ageing;
use super::config::SlotConfig;
use super::growth::Growth;
use super::page_tables::PageTables;
use super::strategy::Strategy;
use crate::error::SlotError;
use crate::host_page::host_page_size;
use crate::image::MemoryImage;
use crate::image::placement::Placement;
use crate::os::OsError;
use crate::sys::{Access, HAS_MAPPINGS, Reservation, page_bytes, table_bytes};

/// A reservation of address space that holds one linear memory at a time.
///
/// A slot is *ready*, *in use* or, after a failure that could not be undone, *poisoned*.
/// Methods that do not fit the state return a [`SlotError`] and change nothing. In every
/// state, what earlier uses wrote cannot be read.
///
/// Growth never moves a memory, except as described at [`as_ptr`](Self::as_ptr).
///
/// ```
/// extern crate alloc;
/// use alloc::sync::Arc;
/// use wasm_meminit_apply::{MemoryImage, MemorySlot, SlotConfig};
/// use wasm_meminit_image_builder::Image;
///
/// let image = Image::capture(b"hello world")?;
/// let image = Arc::new(MemoryImage::new(image.as_ref())?);
///
/// let mut slot = MemorySlot::new(&SlotConfig::new(1 << 20))?;
/// for _ in 0..3 {
///     slot.instantiate(Some(&image), 65536)?;
///     assert_eq!(slot.as_slice()[..11], *b"hello world");
///     slot.as_mut_slice().fill(7);
///     slot.reset()?;
/// }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemorySlot {
    pub(crate) memory: Reservation,
    max_bytes: u64,
    pub(crate) state: State,
    pub(crate) strategy: Strategy,
    /// In bytes.
    pub(crate) keep_resident: usize,
    max_pieces: usize,
    pub(crate) ageing: Ageing,
    pub(crate) growth: Growth,
    pub(crate) tables: PageTables,
    // Invariants, even after failures:
    // 1. Nothing is accessible from `reach` on. `reach` is at least what `memory` has
    //    open.
    // 2. When ready, every byte of the slot has the initial contents of `image`, or is
    //    zero without one. From `reach` on, that is always zero.
    // 3. From both `reach` and `kept_end` on, no page was resident when the slot became
    //    ready, and none has become so since.
    pub(crate) reach: usize,
    pub(crate) kept_end: usize,
    /// The largest `reach` since page tables from `reach` on were last freed.
    pub(crate) opened: usize,
    /// The image whose initial contents the slot holds.
    pub(crate) image: Option<Arc<MemoryImage>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    /// With the size of the memory in bytes.
    InUse(usize),
    Poisoned,
}

impl MemorySlot {
    /// Whether memories have guards and never move.
    ///
    /// Where it is true (Linux, other Unix), a slot is a reservation of address space:
    /// accesses past the memory fault, up to the end of the guard, and
    /// [`as_ptr`](Self::as_ptr) is constant. Where it is false (Windows, wasm, Miri, or
    /// without the feature `std`), a slot is a buffer of the allocator: accesses past the
    /// memory reach other data of the process, and growth moves it. Code that omits bounds
    /// checks, or that keeps the address, must not use slots there.
    pub const HAS_GUARDS: bool = HAS_MAPPINGS;

    /// Reserves address space. Nothing is accessible yet, and no memory is used.
    ///
    /// # Errors
    ///
    /// [`SlotError::TooLarge`] if the slot fits no process's address space;
    /// [`SlotError::Os`] if it does not fit this one's.
    pub fn new(config: &SlotConfig) -> Result<Self, SlotError> {
        let pages = |bytes: u64| {
            let rounded = host_page_size().round_up(bytes)?;
            usize::try_from(rounded).ok()
        };
        let too_large = SlotError::TooLarge {
            bytes: config.max_bytes,
            max_bytes: u64::try_from(isize::MAX).unwrap_or(u64::MAX),
        };
        let before = pages(config.guard_before_bytes).ok_or(too_large)?;
        let len = pages(config.max_bytes).ok_or(too_large)?;
        let after = pages(config.guard_bytes).ok_or(too_large)?;
        let tables = PageTables::new(len, table_bytes()).map_err(|_| OsError::out_of_memory())?;
        Ok(Self {
            memory: Reservation::new(before, len, after)?,
            max_bytes: config.max_bytes,
            state: State::Ready,
            strategy: config.strategy,
            keep_resident: usize::try_from(config.keep_resident_bytes).unwrap_or(usize::MAX),
            max_pieces: config.max_pieces,
            ageing: Ageing::default(),
            growth: Growth::new(),
            tables,
            reach: 0,
            kept_end: 0,
            opened: 0,
            image: None,
        })
    }

    /// Returns the memory's bytes; empty unless in use.
    pub fn as_slice(&self) -> &[u8] {
        match self.state {
            State::InUse(bytes) => &self.memory.bytes()[..bytes],
            _ => &[],
        }
    }

    /// Returns the memory's bytes, writable; empty unless in use.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match self.state {
            State::InUse(bytes) => &mut self.memory.bytes_mut()[..bytes],
            _ => &mut [],
        }
    }

    /// Returns the address of the memory's first byte.
    ///
    /// It is constant as long as the slot lives, except where [`HAS_GUARDS`](Self::HAS_GUARDS)
    /// is false: there, `instantiate`, `grow` and `reset` may change it.
    ///
    /// # Safe use of the pointer
    ///
    /// Getting the pointer is safe. Code that reads or writes through it must obey these
    /// rules:
    ///
    /// * From [`instantiate`](Self::instantiate) to [`reset`](Self::reset), the bytes up
    ///   to the memory's size are accessible. So are those up to the end of the last host
    ///   page, but they are not part of the memory. Everything else faults, or belongs to
    ///   the slot; where `HAS_GUARDS` is false, it may be anything.
    /// * While code that holds the pointer may run, on this or any other thread (compiled
    ///   wasm, or a host function that it calls), nothing else may use
    ///   [`as_slice`](Self::as_slice), [`as_mut_slice`](Self::as_mut_slice), or a
    ///   reference obtained from them: the compiler assumes that bytes reached through a
    ///   shared reference do not change, and that bytes reached through an exclusive one
    ///   are not accessed elsewhere. A host function must also read and write through the
    ///   pointer.
    /// * Of the other methods, [`grow`](Self::grow), [`prefetch`](Self::prefetch),
    ///   [`record`](Self::record), [`len`](Self::len) and this one may be called while
    ///   such code is stopped in a call to the host; threads that share the memory may
    ///   even keep running. [`zero`](Self::zero) may be called if none runs. `reset` and
    ///   dropping the slot end the use: after them, no code may use the pointer.
    pub fn as_ptr(&mut self) -> *mut u8 {
        self.memory.as_ptr()
    }

    /// Returns the memory's size in bytes; 0 unless in use.
    pub fn len(&self) -> u64 {
        match self.state {
            State::InUse(bytes) => u64::try_from(bytes).unwrap_or(u64::MAX),
            _ => 0,
        }
    }

    /// Returns whether the memory has no bytes: it is not in use, or has no pages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the size in bytes of the largest memory that the slot was reserved for.
    pub const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Returns how many bytes the last reset kept resident.
    #[cfg(feature = "std")]
    pub(crate) fn resident(&self) -> u64 {
        u64::try_from(self.ageing.resident()).unwrap_or(u64::MAX)
    }

    /// Returns the size in bytes of the slot's page tables that may exist.
    pub(crate) fn table_bytes(&self) -> u64 {
        u64::try_from(self.tables.bytes(page_bytes())).unwrap_or(u64::MAX)
    }

    /// Returns whether an earlier failure could not be undone.
    pub fn is_poisoned(&self) -> bool {
        self.state == State::Poisoned
    }

    /// Returns the image whose initial contents the slot holds, if any.
    ///
    /// This slot is the cheapest one to start from it again.
    pub const fn image(&self) -> Option<&Arc<MemoryImage>> {
        self.image.as_ref()
    }

    /// Returns how an image is placed in this slot.
    pub(crate) fn placement<'a>(&self, image: &'a MemoryImage) -> &'a Placement {
        image.placement(self.max_pieces)
    }

    /// Returns the end of what may have pages, in bytes.
    pub(crate) fn touched(&self) -> usize {
        self.reach.max(self.kept_end)
    }

    pub(crate) fn expect_ready(&self) -> Result<(), SlotError> {
        match self.state {
            State::Ready => Ok(()),
            State::InUse(_) => Err(SlotError::InUse),
            State::Poisoned => Err(SlotError::Poisoned),
        }
    }

    pub(crate) fn expect_in_use(&self) -> Result<usize, SlotError> {
        match self.state {
            State::InUse(bytes) => Ok(bytes),
            State::Ready => Err(SlotError::NotInUse),
            State::Poisoned => Err(SlotError::Poisoned),
        }
    }

    /// Removes access from `end` on.
    pub(crate) fn close_from(&mut self, end: usize) -> Result<(), OsError> {
        if end < self.reach {
            self.memory.protect(end..self.reach, Access::None)?;
            self.reach = end;
        }
        Ok(())
    }

    /// Makes at least the first `end` bytes accessible.
    pub(crate) fn open_to(&mut self, end: usize) -> Result<(), OsError> {
        let open = self.memory.open();
        if open < end {
            let reach = self.reach;
            // Before the call: if it fails, a part may be accessible.
            self.reach = self.reach.max(end);
            self.opened = self.opened.max(end);
            self.growth.opened(end);
            if let Err(err) = self.memory.protect(open..end, Access::ReadWrite) {
                // All of it is unchanged, or is open and zero.
                let _ = self.close_from(reach);
                return Err(err);
            }
        }
        Ok(())
    }

    /// Poisons the slot: nothing can be read through it any more.
    pub(crate) fn poison(&mut self) -> SlotError {
        self.image = None;
        self.state = State::Poisoned;
        self.memory.close();
        SlotError::Poisoned
    }
}
