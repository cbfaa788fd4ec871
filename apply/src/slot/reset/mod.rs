//! Resets a slot to its initial contents, so that nothing of the last use remains.

mod scan_and_copy;
mod whole;

use super::memory_slot::{MemorySlot, State};
use super::strategy::{ResetReport, Strategy};
use crate::error::SlotError;
use crate::sys;

/// The largest memories that are compared as a whole if half of them, or seven eighths,
/// are resident. A scan costs half a microsecond, and 0.1 µs for each written page; a
/// comparison about 1.3 µs for 64 KiB.
const SMALL: usize = 64 << 10;
const LARGE: usize = 1 << 20;

impl MemorySlot {
    /// Ends the use and resets the slot to its initial contents.
    ///
    /// The next use can see nothing of this one.
    ///
    /// # Errors
    ///
    /// [`SlotError::NotInUse`]; [`SlotError::Poisoned`], also if this call poisoned the
    /// slot.
    pub fn reset(&mut self) -> Result<ResetReport, SlotError> {
        match self.choose() {
            Strategy::ScanAndCopy if self.strategy == Strategy::Auto && self.is_dense() => {
                self.reset_by(Strategy::Copy)
            }
            by => self.reset_by(by),
        }
    }

    /// Does the same, beginning with a given strategy.
    pub(crate) fn reset_by(&mut self, mut by: Strategy) -> Result<ResetReport, SlotError> {
        self.expect_in_use()?;
        self.growth.used(self.reach);
        let report = loop {
            // A call that failed and could not be undone left a part without access.
            if self.memory.open() < self.reach && by != Strategy::Remap {
                let _ = self.open_to(self.reach);
                if self.memory.open() < self.reach && by == Strategy::Copy {
                    return Err(self.poison());
                }
            }
            // A strategy that failed leaves some pages restored and others not; the next
            // one works from any such state.
            let done = match by {
                Strategy::ScanAndCopy => self.scan_and_copy(),
                Strategy::Discard => self.discard_all(),
                Strategy::Remap => self.remap(),
                Strategy::Copy | Strategy::Auto => Ok(self.copy_all()),
            };
            if self.memory.is_lost() {
                return Err(self.poison());
            }
            if let Ok(report) = done {
                break report;
            }
            by = match by {
                Strategy::ScanAndCopy if self.can_discard() => Strategy::Discard,
                Strategy::ScanAndCopy | Strategy::Discard => Strategy::Remap,
                _ => Strategy::Copy,
            };
        };
        self.state = State::Ready;
        self.ageing.after_reset(&report);
        Ok(report)
    }

    /// Returns the strategy that a reset would begin with now; never [`Strategy::Auto`].
    pub(crate) fn choose(&self) -> Strategy {
        let wanted = match self.strategy {
            Strategy::Auto
                if self.ageing.is_persistently_over_budget() || self.keep_resident == 0 =>
            {
                self.without_scans()
            }
            Strategy::Auto if sys::scan_support().is_yes() => Strategy::ScanAndCopy,
            Strategy::Auto => self.without_scans(),
            forced => forced,
        };
        match wanted {
            Strategy::ScanAndCopy if !self.trusts_image() => Strategy::Remap,
            Strategy::Discard if !self.can_discard() => Strategy::Remap,
            wanted => wanted,
        }
    }

    /// Returns whether uses write so much of a small memory that comparing all of it takes
    /// less time than a scan, which is not needed to age pages now.
    fn is_dense(&self) -> bool {
        let (all, resident) = (self.reach, self.ageing.resident());
        let is_dense = match all <= SMALL {
            true => all <= 2 * resident,
            false => all <= LARGE && all - all / 8 <= resident,
        };
        is_dense
            && all != 0
            && all <= self.keep_resident
            && self.kept_end <= all
            && all <= self.memory.open()
            && !self.is_round_due()
    }

    /// Returns the strategy to use when written pages are not searched for. A copy keeps
    /// the whole memory resident.
    fn without_scans(&self) -> Strategy {
        match Strategy::without_scans() {
            Strategy::Copy if self.keep_resident < self.touched() => Strategy::Discard,
            by => by,
        }
    }
}
