//! One reservation of address space that serves many instances in turn.

use alloc::sync::Arc;

use crate::ageing::Ageing;
use crate::error::SlotError;
use crate::host_page::host_page_size;
use crate::image::MemoryImage;
use crate::os::OsError;
use crate::page_tables::PageTables;
use crate::placement::{MAX_PIECES, Placement};
use crate::reset::Strategy;
#[cfg(feature = "std")]
use crate::sys::max_mappings;
use crate::sys::{Access, Reservation, page_bytes, table_bytes};

/// Configuration of a [`MemorySlot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotConfig {
    max_bytes: u64,
    guard_bytes: u64,
    guard_before_bytes: u64,
    strategy: Strategy,
    keep_resident_bytes: u64,
    max_pieces: usize,
}

/// The default of [`SlotConfig::keep_resident`], in bytes.
const KEEP_RESIDENT: u64 = 4 << 20;

/// The default of [`SlotConfig::max_pieces`].
const PIECES: usize = 8;

impl SlotConfig {
    /// Configures a slot for memories of at most `max_bytes` bytes.
    ///
    /// The guard after the memory is 64 KiB by default.
    ///
    /// Slots of 16 MiB or more reserve up to 2 MiB of additional address space, so that
    /// they share no page table with their neighbours (with host pages of 4 KiB; in
    /// general, the range of one page table, for slots of at least eight times that).
    pub const fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            guard_bytes: 0x1_0000,
            guard_before_bytes: 0,
            strategy: Strategy::Auto,
            keep_resident_bytes: KEEP_RESIDENT,
            max_pieces: PIECES,
        }
    }

    #[cfg(feature = "std")]
    pub(crate) const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Sets how many bytes after the largest memory are inaccessible, at least.
    ///
    /// Default: 64 KiB. An engine that omits bounds checks needs as many as an
    /// instruction's address can reach.
    #[must_use]
    pub const fn guard(mut self, bytes: u64) -> Self {
        self.guard_bytes = bytes;
        self
    }

    /// Sets how many bytes before the memory's base are inaccessible, at least.
    ///
    /// Default: 0.
    #[must_use]
    pub const fn guard_before(mut self, bytes: u64) -> Self {
        self.guard_before_bytes = bytes;
        self
    }

    /// Sets how the slot is reset. Default: [`Strategy::Auto`].
    #[must_use]
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets how many bytes of written pages may stay resident between uses.
    ///
    /// Default: 4 MiB. The pages are reset to their initial contents; the next use that
    /// writes to them takes no fault.
    ///
    /// This is observable: by timing its first writes, a use can tell which pages earlier
    /// uses wrote to, though not what. With 0 every page is discarded; what can still be
    /// timed is whether a page table of two megabytes exists, until it is freed too.
    #[must_use]
    pub const fn keep_resident(mut self, bytes: u64) -> Self {
        self.keep_resident_bytes = bytes;
        self
    }

    /// Sets how many pieces an image with large holes may be mapped in, from 1 to 64.
    ///
    /// Default: 8. Effectively rounded down to a power of two.
    ///
    /// Each piece takes two of the mappings that a process may have (on Linux 65,530 by
    /// default, `vm.max_map_count`) and about 4 µs of a slot's first start. With fewer
    /// pieces, holes are mapped too, and a program that reads them makes the image's file
    /// larger; the sparsest images are partly copied.
    #[must_use]
    pub const fn max_pieces(mut self, pieces: usize) -> Self {
        self.max_pieces = if pieces == 0 {
            1
        } else if MAX_PIECES < pieces {
            MAX_PIECES
        } else {
            pieces
        };
        self
    }

    /// Limits the pieces of each of `n_slots` slots, so that all of them together take at
    /// most half of the mappings that a process may have.
    #[cfg(feature = "std")]
    pub(crate) fn among(mut self, n_slots: usize) -> Self {
        // Two mappings for each piece, and two more for the slot.
        let per_slot = max_mappings() / 2 / n_slots.max(1);
        self.max_pieces = self.max_pieces.min((per_slot / 2).saturating_sub(1)).max(1);
        self
    }
}

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
            tables,
            reach: 0,
            kept_end: 0,
            opened: 0,
            image: None,
        })
    }

    /// Starts a memory of `bytes` bytes from an image.
    ///
    /// The memory has the initial contents from `image`, or is zeroed without one.
    ///
    /// A slot that still holds the same image from its last use maps nothing. After the
    /// memory's last host page nothing is accessible, whatever was there before.
    ///
    /// # Errors
    ///
    /// [`SlotError::InUse`], [`SlotError::Poisoned`], [`SlotError::TooLarge`],
    /// [`SlotError::MemoryTooSmall`]: nothing changed. [`SlotError::Os`]: the slot is
    /// ready and holds [`image`](Self::image), or it is poisoned if the system failed
    /// half-way through a mapping.
    pub fn instantiate(
        &mut self,
        image: Option<&Arc<MemoryImage>>,
        bytes: u64,
    ) -> Result<(), SlotError> {
        self.expect_ready()?;
        let (bytes, end) = self.size(bytes)?;
        if let Some(image) = image {
            image.check(u64::try_from(bytes).unwrap_or(u64::MAX))?;
        }
        match self.hold(image, end).and_then(|()| self.set_end(end)) {
            Ok(()) => {
                self.state = State::InUse(bytes);
                Ok(())
            }
            Err(err) => {
                if self.memory.is_lost() {
                    self.poison();
                }
                Err(err.into())
            }
        }
    }

    /// Grows the memory to `bytes` bytes; the new bytes are zero.
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`], [`SlotError::Poisoned`], [`SlotError::TooLarge`],
    /// [`SlotError::Shrinks`]: nothing changed. [`SlotError::Os`]: the size is unchanged,
    /// or, if even that could not be ensured, the slot is poisoned.
    pub fn grow(&mut self, bytes: u64) -> Result<(), SlotError> {
        let current = self.expect_in_use()?;
        let (bytes, end) = self.size(bytes)?;
        if bytes < current {
            return Err(SlotError::Shrinks {
                bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
                current: u64::try_from(current).unwrap_or(u64::MAX),
            });
        }
        let end_before = self.reach;
        if let Err(err) = self.set_end(end) {
            // mprotect(2): a part may have changed. All of it is zero, so it only has to
            // be closed again.
            if self.set_end(end_before).is_err() {
                self.poison();
            }
            return Err(err.into());
        }
        self.state = State::InUse(bytes);
        Ok(())
    }

    /// Makes every byte of the memory zero, as if there were no image.
    ///
    /// An engine calls this when an element segment traps: by the specification, no data
    /// segment was written before that.
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`], [`SlotError::Poisoned`], also if this call poisoned the
    /// slot.
    pub fn abandon(&mut self) -> Result<(), SlotError> {
        self.expect_in_use()?;
        self.zero();
        match self.memory.is_lost() || self.memory.open() < self.reach {
            true => Err(self.poison()),
            false => Ok(()),
        }
    }

    /// Removes all access until the next start.
    ///
    /// A stale pointer from the last use then faults at once. Costs a system call now and
    /// one at the next start; pages that were kept stay.
    ///
    /// # Errors
    ///
    /// [`SlotError::Os`]: a part is still accessible, and reads as the initial contents.
    pub fn protect(&mut self) -> Result<(), SlotError> {
        self.expect_ready()?;
        Ok(self.close_from(0)?)
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
    /// It is constant as long as the slot lives, except on targets without mappings, where
    /// `instantiate`, `grow` and `reset` may change it.
    ///
    /// # Safe use of the pointer
    ///
    /// Getting the pointer is safe. Code that reads or writes through it must obey these
    /// rules:
    ///
    /// * From [`instantiate`](Self::instantiate) to [`reset`](Self::reset), the bytes up
    ///   to the memory's size are accessible. So are those up to the end of the last host
    ///   page, but they are not part of the memory. Everything else faults, or belongs to
    ///   the slot.
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
    ///   even keep running. `reset`, [`abandon`](Self::abandon) and dropping the slot end
    ///   the use: after them, no code may use the pointer.
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

    fn expect_ready(&self) -> Result<(), SlotError> {
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

    /// Returns a size in bytes, as given and rounded up to a host page.
    fn size(&self, bytes: u64) -> Result<(usize, usize), SlotError> {
        let too_large = SlotError::TooLarge {
            bytes,
            max_bytes: self.max_bytes,
        };
        let end = host_page_size().round_up(bytes).ok_or(too_large)?;
        if self.max_bytes < bytes {
            return Err(too_large);
        }
        let to_usize = |bytes| usize::try_from(bytes).map_err(|_| too_large);
        Ok((to_usize(bytes)?, to_usize(end)?))
    }

    /// Makes exactly the first `end` bytes accessible. If resets scan pages, kept pages
    /// past `end` stay, but inaccessible: a memory that grows finds them in place, and
    /// one that does not discards them later.
    fn set_end(&mut self, end: usize) -> Result<(), OsError> {
        self.open_to(end)?;
        let has_kept_pages_past_end = end < self.kept_end && self.choose() != Strategy::ScanAndCopy;
        if has_kept_pages_past_end && self.discard(end..self.kept_end).is_ok() {
            self.kept_end = end;
        }
        self.close_from(end)
    }

    /// Removes access from `end` on.
    fn close_from(&mut self, end: usize) -> Result<(), OsError> {
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
