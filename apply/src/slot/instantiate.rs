//! Starts memories in a slot, grows them, and removes access to them.

use alloc::sync::Arc;

use super::memory_slot::{MemorySlot, State};
use super::strategy::Strategy;
use crate::error::SlotError;
use crate::host_page::host_page_size;
use crate::image::MemoryImage;
use crate::os::OsError;

impl MemorySlot {
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
    /// [`SlotError::NotInUse`], [`SlotError::Poisoned`]. A slot in use cannot fail: whatever the
    /// system refuses, zeros are written.
    pub fn zero(&mut self) -> Result<(), SlotError> {
        self.expect_in_use()?;
        self.zero_all();
        Ok(())
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

    /// Returns a size in bytes, as given and rounded up to a host page.
    fn size(&self, bytes: u64) -> Result<(usize, usize), SlotError> {
        let too_large = SlotError::TooLarge {
            bytes,
            max_bytes: self.max_bytes(),
        };
        let end = host_page_size().round_up(bytes).ok_or(too_large)?;
        if self.max_bytes() < bytes {
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
}
