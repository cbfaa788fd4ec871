//! One reservation of addresses that serves many instances in turn.

use alloc::sync::Arc;

use crate::ageing::Ageing;
use crate::error::{OsError, SlotError};
use crate::image::MemoryImage;
use crate::page_tables::PageTables;
use crate::placement::{MAX_PIECES, Placement};
use crate::reset::Strategy;
#[cfg(feature = "std")]
use crate::sys::max_mappings;
use crate::sys::{Access, Reservation, host_page_size, page_bytes, table_bytes};

/// How large a [`MemorySlot`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotConfig {
    max_bytes: u64,
    guard_bytes: u64,
    guard_before_bytes: u64,
    strategy: Strategy,
    keep_resident_bytes: u64,
    max_pieces: usize,
}

/// What a slot keeps resident between uses by default, in bytes.
const KEEP_RESIDENT: u64 = 4 << 20;

/// In how many pieces a slot maps an image by default.
const PIECES: usize = 8;

impl SlotConfig {
    /// A slot for memories of at most `max_bytes` bytes, with a guard of 64 KiB.
    ///
    /// From 16 MiB on it reserves up to 2 MiB of addresses more, so that it shares no page
    /// table with its neighbours (with host pages of 4 KiB; in general, the addresses of
    /// one page table, and eight times as many).
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

    /// How many bytes after the largest memory have no access, at least. Default:
    /// 64 KiB. An engine that leaves out bounds checks needs as many as an instruction's
    /// address can reach.
    #[must_use]
    pub const fn guard(mut self, bytes: u64) -> Self {
        self.guard_bytes = bytes;
        self
    }

    /// The same before the memory's base. Default: 0.
    #[must_use]
    pub const fn guard_before(mut self, bytes: u64) -> Self {
        self.guard_before_bytes = bytes;
        self
    }

    /// How a reset works. Default: [`Strategy::Auto`].
    #[must_use]
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many bytes of pages that were written may stay resident, with their initial
    /// contents, between uses. Default: 4 MiB. The next use that writes to them takes no
    /// fault.
    ///
    /// That shows: by timing its first writes, a use can tell which pages the uses before
    /// it wrote to, though not what. With 0 every page is discarded; what is left to be
    /// timed is whether a page table of two megabytes is there, until it is freed too.
    #[must_use]
    pub const fn keep_resident(mut self, bytes: u64) -> Self {
        self.keep_resident_bytes = bytes;
        self
    }

    /// In how many pieces an image with large holes may be mapped, from 1 to 64; in
    /// effect, the next lower power of two. Default: 8.
    ///
    /// Each piece is two of the mappings that a process may have (on Linux 65,530 by
    /// default, `vm.max_map_count`) and about 4 µs of a slot's first start. With fewer,
    /// holes are mapped along, and a program that reads them makes the image's file
    /// larger; the most sparse images are partly copied.
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

    /// The same for one of `n_slots` slots, so that all of them together take half of the
    /// mappings that a process may have, at most.
    #[cfg(feature = "std")]
    pub(crate) fn among(mut self, n_slots: usize) -> Self {
        // Two mappings for a piece, and two more for the slot.
        let per_slot = max_mappings() / 2 / n_slots.max(1);
        self.max_pieces = self.max_pieces.min((per_slot / 2).saturating_sub(1)).max(1);
        self
    }
}

/// A reservation of address space that holds one linear memory at a time.
///
/// A slot is *ready*, *in use* or, after a failure that could not be undone,
/// *poisoned*. Methods that do not fit the state return a [`SlotError`] and change
/// nothing. In every state, what earlier uses wrote cannot be read.
///
/// Growth never moves a memory, except where [`as_ptr`](Self::as_ptr) says so.
///
/// ```
/// extern crate alloc;
/// use alloc::sync::Arc;
/// use wasm_meminit_apply::{MemoryImage, MemorySlot, SlotConfig};
/// use wasm_meminit_image_builder::Image;
///
/// let image = Image::capture(b"first state")?;
/// let image = Arc::new(MemoryImage::new(image.as_ref())?);
///
/// let mut slot = MemorySlot::new(&SlotConfig::new(1 << 20))?;
/// for _ in 0..3 {
///     slot.instantiate(Some(&image), 65536)?;
///     assert_eq!(slot.as_slice()[..11], *b"first state");
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
    // Invariants, whatever failed:
    // 1. From `reach` on, nothing is accessible. Below it is at least what `memory` has
    //    open.
    // 2. When ready, every byte of the slot has the initial contents of `image`, or is
    //    zero without one; from `reach` on, always: zero.
    // 3. From `reach` and from `kept_end` on, no page was resident when the slot became
    //    ready, or has become so since.
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
    /// Reserves the addresses. Nothing is accessible yet, and no memory is used.
    ///
    /// # Errors
    ///
    /// [`SlotError::TooLarge`] where it does not fit the address space of any process,
    /// [`SlotError::Os`] where it does not fit that of this one.
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

    /// Starts a memory of `bytes` bytes with the initial contents that `image` gives, or
    /// zero without one.
    ///
    /// A slot that holds the same image from its last use maps nothing. After the
    /// memory's last host page nothing is accessible, whatever was there before.
    ///
    /// # Errors
    ///
    /// [`SlotError::InUse`], [`SlotError::Poisoned`], [`SlotError::TooLarge`],
    /// [`SlotError::MemoryTooSmall`]: nothing changed. [`SlotError::Os`]: the slot is
    /// ready, and [`image`](Self::image) is what it holds; or it is poisoned, where the
    /// system failed half-way through a mapping.
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

    /// Grows the memory to `bytes` bytes; the new ones are zero.
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`], [`SlotError::Poisoned`], [`SlotError::TooLarge`],
    /// [`SlotError::Shrinks`]: nothing changed. [`SlotError::Os`]: the size is what it
    /// was; or, where even that could not be made sure, the slot is poisoned.
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
            // mprotect(2): a part may have changed. All of it is zero, so that it only
            // has to be closed again.
            if self.set_end(end_before).is_err() {
                self.poison();
            }
            return Err(err.into());
        }
        self.state = State::InUse(bytes);
        Ok(())
    }

    /// Makes every byte of the memory zero, as if there were no image: what an engine
    /// does when an element segment traps, before which no data segment was written.
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`], [`SlotError::Poisoned`], also where it became so now.
    pub fn abandon(&mut self) -> Result<(), SlotError> {
        self.expect_in_use()?;
        self.zero();
        match self.memory.is_lost() || self.memory.open() < self.reach {
            true => Err(self.poison()),
            false => Ok(()),
        }
    }

    /// Takes all access away until the next start, so that a pointer from the last use
    /// faults at once. Costs a call now and one then; pages that were kept stay.
    ///
    /// # Errors
    ///
    /// [`SlotError::InUse`], [`SlotError::Poisoned`]: nothing changed.
    /// [`SlotError::Os`]: a part is still accessible; what it shows is the initial
    /// contents.
    pub fn protect(&mut self) -> Result<(), SlotError> {
        self.expect_ready()?;
        Ok(self.close_from(0)?)
    }

    /// The memory's bytes; none unless in use.
    pub fn as_slice(&self) -> &[u8] {
        match self.state {
            State::InUse(bytes) => &self.memory.bytes()[..bytes],
            _ => &[],
        }
    }

    /// The memory's bytes, to be written; none unless in use.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match self.state {
            State::InUse(bytes) => &mut self.memory.bytes_mut()[..bytes],
            _ => &mut [],
        }
    }

    /// The address of the memory's first byte: the same for as long as the slot lives.
    ///
    /// Only on targets without mappings does it change, with `instantiate`, `grow` and
    /// `reset`.
    ///
    /// # Safety of its use
    ///
    /// To get the pointer is safe. Whoever reads or writes through it has to know:
    ///
    /// * The bytes from it to the memory's size are accessible from
    ///   [`instantiate`](Self::instantiate) to [`reset`](Self::reset); those up to the
    ///   end of the last host page too, and are no part of the memory. Everything else
    ///   faults, or belongs to the slot.
    /// * While code that holds the pointer may run, on this thread or any other (compiled
    ///   wasm, a host function that it calls), nobody else uses [`as_slice`](Self::as_slice),
    ///   [`as_mut_slice`](Self::as_mut_slice), or a reference that came from them: the
    ///   compiler takes the bytes behind a shared reference for unchanging, and those
    ///   behind an exclusive one for its own. A host function reads and writes through the
    ///   pointer as well.
    /// * Of the other methods, [`grow`](Self::grow), [`prefetch`](Self::prefetch),
    ///   [`record`](Self::record), [`len`](Self::len) and this one may be called while
    ///   such code is stopped in a call to the host; threads that share the memory may
    ///   even go on running. `reset`, [`abandon`](Self::abandon) and dropping the slot end
    ///   the use: after them, no code may use the pointer.
    pub fn as_ptr(&mut self) -> *mut u8 {
        self.memory.as_ptr()
    }

    /// The memory's size in bytes; 0 unless in use.
    pub fn len(&self) -> u64 {
        match self.state {
            State::InUse(bytes) => u64::try_from(bytes).unwrap_or(u64::MAX),
            _ => 0,
        }
    }

    /// Whether no byte is accessible: not in use, or a memory of no pages.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The largest memory in bytes that the slot was reserved for.
    pub const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// What the last reset kept resident, in bytes.
    #[cfg(feature = "std")]
    pub(crate) fn resident(&self) -> u64 {
        u64::try_from(self.ageing.resident()).unwrap_or(u64::MAX)
    }

    /// What page tables of the slot may exist, in bytes.
    pub(crate) fn table_bytes(&self) -> u64 {
        u64::try_from(self.tables.bytes(page_bytes())).unwrap_or(u64::MAX)
    }

    /// Whether an earlier failure could not be undone.
    pub fn is_poisoned(&self) -> bool {
        self.state == State::Poisoned
    }

    /// The image whose initial contents the slot holds, if any: to start from it again
    /// costs least here.
    pub const fn image(&self) -> Option<&Arc<MemoryImage>> {
        self.image.as_ref()
    }

    /// How an image gets into this slot.
    pub(crate) fn placement<'a>(&self, image: &'a MemoryImage) -> &'a Placement {
        image.placement(self.max_pieces)
    }

    /// The end of what may have pages, in bytes.
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

    /// A size in bytes, as it is and rounded up to a host page.
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

    /// Makes exactly the first `end` bytes accessible. Where resets look at pages, those
    /// beyond that were kept stay, closed: a memory that grows finds them in place, and
    /// one that does not discards them later.
    fn set_end(&mut self, end: usize) -> Result<(), OsError> {
        self.open_to(end)?;
        let is_beyond = end < self.kept_end && self.choose() != Strategy::ScanAndCopy;
        if is_beyond && self.discard(end..self.kept_end).is_ok() {
            self.kept_end = end;
        }
        self.close_from(end)
    }

    /// Takes access away from `end` on.
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
            // Before the call: where it fails, a part may be accessible.
            self.reach = self.reach.max(end);
            self.opened = self.opened.max(end);
            if let Err(err) = self.memory.protect(open..end, Access::ReadWrite) {
                // All of it is as it was before, or is open and zero.
                let _ = self.close_from(reach);
                return Err(err);
            }
        }
        Ok(())
    }

    /// Gives the slot up: nothing can be read through it any more.
    pub(crate) fn poison(&mut self) -> SlotError {
        self.image = None;
        self.state = State::Poisoned;
        self.memory.close();
        SlotError::Poisoned
    }
}
