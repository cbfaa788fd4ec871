//! Many slots reset at once.
//!
//! To let pages go, the kernel interrupts every processor on which a thread of the
//! process runs. With another thread running, `madvise` for each slot costs tens of
//! microseconds; one `process_madvise` for all of them, about one.

use alloc::vec::Vec;

use crate::reset::Strategy;
use crate::slot::{MemorySlot, State};
use crate::sys::discard_many;

#[cfg(feature = "std")]
pub use self::queue::ResetQueue;

/// What [`reset_many`] did with its slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchReport {
    /// Dropped together with others.
    pub n_batched: u64,
    /// Reset one by one: another strategy was asked for, or the kernel takes no batch.
    pub n_single: u64,
    /// Poisoned, now or before.
    pub n_poisoned: u64,
}

/// Resets slots: those whose strategy is [`Strategy::Auto`] or [`Strategy::Drop`] let all
/// their pages go, in one system call for up to 1,024 of them where the kernel allows it
/// (Linux 6.13); the others do as their strategy says. Slots that are not in use stay as
/// they are.
///
/// Nothing stays resident of a slot that was reset in a batch. Where the next uses come
/// soon, [`MemorySlot::reset`] is better; a batch frees memory.
pub fn reset_many<'a>(slots: impl IntoIterator<Item = &'a mut MemorySlot>) -> BatchReport {
    let mut report = BatchReport::default();
    let mut batch: Vec<&mut MemorySlot> = Vec::new();
    let mut single: Vec<&mut MemorySlot> = Vec::new();
    for slot in slots {
        match slot.state {
            State::Ready => {}
            State::Poisoned => report.n_poisoned += 1,
            State::InUse(_) => match slot.strategy {
                Strategy::Auto | Strategy::Drop if slot.can_discard() => batch.push(slot),
                _ => single.push(slot),
            },
        }
    }
    let mut ranges: Vec<_> = batch
        .iter_mut()
        .map(|slot| {
            let range = 0..slot.touched();
            (&mut slot.memory, range)
        })
        .collect();
    let n_done = discard_many(&mut ranges);
    let mut rest = batch.split_off(n_done);
    for slot in batch {
        // Fails where a copied image cannot be taken out.
        let Ok(discarded) = slot.discarded() else {
            rest.push(slot);
            continue;
        };
        slot.ageing.after_reset(&discarded);
        slot.state = State::Ready;
        report.n_batched += 1;
    }
    for slot in rest.into_iter().chain(single) {
        match slot.reset() {
            Ok(_) => report.n_single += 1,
            Err(_) => report.n_poisoned += 1,
        }
    }
    report
}

/// Lets all pages of ready slots go, in as few system calls as the kernel takes. They
/// stay ready and keep what they have mapped; where that is not possible, they are wiped.
#[cfg(feature = "std")]
pub(crate) fn let_go_many<'a>(slots: impl IntoIterator<Item = &'a mut MemorySlot>) {
    let is_mapped = |slot: &&mut MemorySlot| slot.copied_bytes() == 0 && slot.can_discard();
    let (mut mapped, copied): (Vec<_>, Vec<_>) = slots
        .into_iter()
        .filter(|slot| slot.state == State::Ready)
        .partition(is_mapped);
    let mut ranges: Vec<_> = mapped
        .iter_mut()
        .map(|slot| {
            let range = 0..slot.touched();
            (&mut slot.memory, range)
        })
        .collect();
    let n_done = discard_many(&mut ranges);
    for slot in mapped.drain(..n_done) {
        slot.kept_end = 0;
        slot.ageing.nothing_resident();
    }
    for slot in mapped.into_iter().chain(copied) {
        if slot.remap().is_err() && slot.memory.is_lost() {
            slot.poison();
        }
    }
}

#[cfg(feature = "std")]
mod queue {
    use alloc::vec::Vec;
    use core::mem;
    use std::sync::{Mutex, PoisonError};

    use super::{BatchReport, reset_many};
    use crate::slot::MemorySlot;

    /// Slots that wait to be reset together, perhaps by another thread.
    ///
    /// ```
    /// use wasm_meminit_apply::{MemorySlot, ResetQueue, SlotConfig};
    ///
    /// let queue = ResetQueue::new();
    /// let mut slot = MemorySlot::new(&SlotConfig::new(1 << 16))?;
    /// slot.instantiate(None, 1 << 16)?;
    /// assert_eq!(queue.push(slot), 1);
    /// let (ready, report) = queue.drain();
    /// assert_eq!(ready.len(), 1);
    /// assert_eq!(report.n_poisoned, 0);
    /// # Ok::<(), wasm_meminit_apply::SlotError>(())
    /// ```
    #[derive(Debug, Default)]
    pub struct ResetQueue {
        waiting: Mutex<Vec<MemorySlot>>,
    }

    impl ResetQueue {
        /// An empty queue.
        pub const fn new() -> Self {
            Self {
                waiting: Mutex::new(Vec::new()),
            }
        }

        /// Adds a slot, and returns how many wait now. Whoever sees enough of them
        /// drains the queue.
        pub fn push(&self, slot: MemorySlot) -> usize {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(slot);
            waiting.len()
        }

        /// How many slots wait.
        pub fn len(&self) -> usize {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.len()
        }

        /// Whether no slot waits.
        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        /// Resets all slots that wait, and returns those that are ready; poisoned ones
        /// are dropped. The queue is not locked meanwhile: other threads go on adding.
        pub fn drain(&self) -> (Vec<MemorySlot>, BatchReport) {
            let mut slots = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                mem::take(&mut *waiting)
            };
            let report = reset_many(&mut slots);
            slots.retain(|slot| !slot.is_poisoned());
            (slots, report)
        }
    }
}

#[cfg(all(test, feature = "std", target_os = "linux"))]
mod tests {
    use super::*;
    use crate::capabilities::Capabilities;
    use crate::slot::SlotConfig;
    use std::eprintln;

    /// More than the kernel takes in one call, each of them.
    #[test]
    fn large_memories_are_batched_too() {
        let bytes = 3 << 30;
        let slot = || MemorySlot::new(&SlotConfig::new(bytes)).ok();
        let Some(mut slots) = (0..3).map(|_| slot()).collect::<Option<Vec<_>>>() else {
            eprintln!("skipped: not enough addresses");
            return;
        };
        if !Capabilities::get().batch.is_yes() {
            eprintln!("skipped: no batches here");
            return;
        }
        for slot in &mut slots {
            slot.instantiate(None, bytes).expect("reserved");
            *slot.as_mut_slice().last_mut().expect("some") = 1;
        }
        let report = reset_many(&mut slots);
        assert_eq!((report.n_batched, report.n_single), (3, 0));
        for slot in &mut slots {
            slot.instantiate(None, bytes).expect("reserved");
            assert_eq!(slot.as_slice().last(), Some(&0));
        }
    }
}
