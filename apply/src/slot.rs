//! One reservation of addresses that serves many instances in turn.

use alloc::sync::Arc;

use crate::ageing::Ageing;
use crate::error::SlotError;
use crate::image::MemoryImage;
use crate::reset::Strategy;
use crate::sys::{Access, Reservation, host_page_size};

/// How large a [`MemorySlot`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotConfig {
    max_bytes: u64,
    guard_bytes: u64,
    guard_before_bytes: u64,
    strategy: Strategy,
    keep_resident_bytes: u64,
}

/// What a slot keeps resident between uses, in bytes, unless told.
const KEEP_RESIDENT: u64 = 4 << 20;

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
        }
    }

    #[cfg(feature = "std")]
    pub(crate) const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// How many bytes behind the largest memory have no access, at least. An engine
    /// that leaves out bounds checks needs as many as an instruction's address can
    /// reach.
    #[must_use]
    pub const fn guard(mut self, bytes: u64) -> Self {
        self.guard_bytes = bytes;
        self
    }

    /// The same before the memory's base; 0 unless told.
    #[must_use]
    pub const fn guard_before(mut self, bytes: u64) -> Self {
        self.guard_before_bytes = bytes;
        self
    }

    /// How a reset goes about it; [`Strategy::Auto`] unless told.
    #[must_use]
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How many bytes of pages that were written may stay resident, clean, between
    /// uses; 4 MiB unless told. The next use that writes to them takes no fault.
    #[must_use]
    pub const fn keep_resident(mut self, bytes: u64) -> Self {
        self.keep_resident_bytes = bytes;
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
    pub(crate) ageing: Ageing,
    // Invariants, whatever failed:
    // 1. At and behind `reach`, nothing is accessible and nothing was ever written
    //    since it was last fresh. In front of it is at least what `memory` has open.
    // 2. When ready, the bytes in front of `reach` are the first state of `image`, or
    //    zero without one.
    // 3. At and behind `kept_end`, no page was resident when the slot became ready.
    pub(crate) reach: usize,
    pub(crate) kept_end: usize,
    /// The image whose first state the slot holds.
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
        let behind = pages(config.guard_bytes).ok_or(too_large)?;
        Ok(Self {
            memory: Reservation::new(before, len, behind)?,
            max_bytes: config.max_bytes,
            state: State::Ready,
            strategy: config.strategy,
            keep_resident: usize::try_from(config.keep_resident_bytes).unwrap_or(usize::MAX),
            ageing: Ageing::default(),
            reach: 0,
            kept_end: 0,
            image: None,
        })
    }

    /// Starts a memory of `bytes` bytes with the first state that `image` says, or
    /// zero without one.
    ///
    /// A slot that holds the same image from its last use maps nothing. Behind the
    /// memory's last host page nothing is accessible, whatever was there before.
    ///
    /// # Errors
    ///
    /// [`SlotError::InUse`], [`SlotError::Poisoned`], [`SlotError::TooLarge`],
    /// [`SlotError::MemoryTooSmall`]: nothing changed. [`SlotError::Os`]: the slot is
    /// ready and holds no image, or is poisoned where even that failed.
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
        let done = self.hold(image, end).and_then(|()| self.set_end(end));
        if done.is_err() {
            self.wipe();
        } else {
            self.state = State::InUse(bytes);
        }
        done
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
            // mprotect(2): a part may have changed. All of it is fresh, so that it
            // only has to be closed again.
            if self.set_end(end_before).is_err() {
                self.poison();
            }
            return Err(err);
        }
        self.state = State::InUse(bytes);
        Ok(())
    }

    /// Makes every byte of the memory zero, as if there were no image: what an engine
    /// does when an element segment traps, before which no data segment was written.
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`], [`SlotError::Poisoned`]. [`SlotError::Os`]: the memory is
    /// gone, and the slot is ready and holds no image, or is poisoned where even that
    /// failed.
    pub fn abandon(&mut self) -> Result<(), SlotError> {
        self.expect_in_use()?;
        self.image = None;
        let done = self.memory.map_zero(0..self.reach, Access::ReadWrite);
        if done.is_err() {
            self.wipe();
        }
        Ok(done?)
    }

    /// Takes all access away until the next start, so that a pointer from the last use
    /// faults at once. Costs a call now and one then; pages that were kept stay.
    ///
    /// # Errors
    ///
    /// [`SlotError::InUse`], [`SlotError::Poisoned`]: nothing changed.
    /// [`SlotError::Os`]: the slot holds no image, or is poisoned.
    pub fn protect(&mut self) -> Result<(), SlotError> {
        self.expect_ready()?;
        let done = self.close_from(0);
        if done.is_err() {
            self.wipe();
        }
        done
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
    pub const fn as_ptr(&mut self) -> *mut u8 {
        self.memory.as_ptr()
    }

    /// The memory's size in bytes; 0 unless in use.
    pub fn len(&self) -> u64 {
        u64::try_from(self.as_slice().len()).unwrap_or(u64::MAX)
    }

    /// Whether no byte is accessible: not in use, or a memory of no pages.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
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

    /// Whether an earlier failure could not be undone.
    pub fn is_poisoned(&self) -> bool {
        self.state == State::Poisoned
    }

    /// The image whose first state the slot holds, if any: to start from it again
    /// costs least here.
    pub const fn image(&self) -> Option<&Arc<MemoryImage>> {
        self.image.as_ref()
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

    /// Makes the slot hold `image`, in a memory of at least `end` bytes.
    fn hold(&mut self, image: Option<&Arc<MemoryImage>>, end: usize) -> Result<(), SlotError> {
        let same = match (&self.image, image) {
            (Some(held), Some(image)) => Arc::ptr_eq(held, image),
            (None, None) => true,
            _ => false,
        };
        if same {
            return Ok(());
        }
        // Until all is done, the slot holds nothing that it could be asked for.
        if let Some(old) = self.image.take() {
            self.reach = self.reach.max(old.mapped_len());
            self.memory
                .map_zero(0..old.mapped_len(), Access::ReadWrite)?;
        }
        let Some(image) = image else {
            return Ok(());
        };
        self.reach = self.reach.max(image.mapped_len());
        for piece in image.pieces() {
            self.open_to(piece.at)?;
            self.memory.map_piece(&piece)?;
        }
        if image.is_copied() {
            self.open_to(end)?;
            image.copy_into_zeroed(0..end, self.memory.bytes_mut());
            self.kept_end = self.kept_end.max(image.mapped_len());
        }
        self.image = Some(Arc::clone(image));
        Ok(())
    }

    /// Makes exactly the first `end` bytes accessible.
    fn set_end(&mut self, end: usize) -> Result<(), SlotError> {
        self.open_to(end)?;
        if end < self.kept_end {
            // Later scans end in front of these pages, and would not count them.
            if self.memory.discard(end..self.kept_end).is_err() {
                // An image ends in front of `end`, so that zeros are right.
                self.memory.map_zero(end..self.kept_end, Access::None)?;
            }
            self.kept_end = end;
        }
        self.close_from(end)
    }

    /// Takes access away from `end` on.
    fn close_from(&mut self, end: usize) -> Result<(), SlotError> {
        if end < self.reach {
            self.memory.protect(end..self.reach, Access::None)?;
            self.reach = end;
        }
        Ok(())
    }

    /// Makes at least the first `end` bytes accessible.
    fn open_to(&mut self, end: usize) -> Result<(), SlotError> {
        let open = self.memory.open();
        if open < end {
            // Before the call: where it fails, a part may be accessible.
            self.reach = self.reach.max(end);
            self.memory.protect(open..end, Access::ReadWrite)?;
        }
        Ok(())
    }

    /// Replaces everything by fresh memory without access. Poisons where that fails.
    pub(crate) fn wipe(&mut self) {
        self.image = None;
        let touched = self.reach.max(self.kept_end);
        match self.memory.map_zero(0..touched, Access::None) {
            Ok(()) => {
                self.reach = 0;
                self.kept_end = 0;
                self.ageing.nothing_resident();
                self.state = State::Ready;
            }
            Err(_) => self.poison(),
        }
    }

    /// Nothing can be read through the slot any more.
    fn poison(&mut self) {
        self.image = None;
        self.state = State::Poisoned;
        // For whoever kept the address, as far as the system still lets us.
        let _ = self.memory.protect(0..self.memory.len(), Access::None);
    }
}
