//! Resets many slots at once.
//!
//! To discard pages, the kernel interrupts every processor that runs a thread of the
//! process. With another thread running, one `madvise` per slot costs tens of
//! microseconds; one `process_madvise` for all of them costs about one per slot.

use core::mem;
use core::ops::Range;

use super::memory_slot::{MemorySlot, State};
use super::strategy::Strategy;
use crate::sys::discard_many;

/// What [`reset_many`] did with its slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchReport {
    /// Slots reset together with others.
    pub n_batched: u64,
    /// Slots reset one by one: another strategy was requested, or the kernel does not
    /// support batches.
    pub n_single: u64,
    /// Slots that are poisoned, now or before.
    pub n_poisoned: u64,
}

/// Resets many slots in few system calls.
///
/// Slots whose strategy is [`Strategy::Auto`] or [`Strategy::Discard`] have all their pages
/// discarded, up to 128 slots in one system call where the kernel supports it (Linux
/// 6.13). The others are reset by their own strategy. Slots that are not in use stay as
/// they are.
///
/// A slot that was reset in a batch keeps no resident pages. If the next uses follow
/// soon, [`MemorySlot::reset`] is better; a batch frees memory.
pub fn reset_many<'a>(slots: impl IntoIterator<Item = &'a mut MemorySlot>) -> BatchReport {
    let mut report = BatchReport::default();
    let mut batch = Batch::new();
    for slot in slots {
        match slot.state {
            State::Ready => {}
            State::Poisoned => report.n_poisoned += 1,
            State::InUse(_) => match slot.strategy {
                Strategy::Auto | Strategy::Discard if slot.can_discard() => {
                    if batch.push(slot) {
                        batch.reset(&mut report);
                    }
                }
                _ => report.add_single(slot),
            },
        }
    }
    batch.reset(&mut report);
    report
}

/// Discards all pages of ready slots, in as few system calls as the kernel allows. The
/// slots stay ready and keep their mappings; where that is not possible, they are wiped.
#[cfg(feature = "std")]
pub(crate) fn discard_ready<'a>(slots: impl IntoIterator<Item = &'a mut MemorySlot>) {
    let mut batch = Batch::new();
    for slot in slots {
        if slot.state != State::Ready {
            continue;
        }
        if slot.copied_bytes() != 0 || !slot.can_discard() {
            // Its bytes would have to be copied again.
            slot.wipe();
        } else if batch.push(slot) {
            batch.discard();
        }
    }
    batch.discard();
}

impl BatchReport {
    fn add_single(&mut self, slot: &mut MemorySlot) {
        let by = slot.choose();
        self.add_by(slot, by);
    }

    /// Does the same for a slot of which the kernel may have discarded a part: a scan
    /// would not find copied pages of its image that are gone.
    fn add_half_discarded(&mut self, slot: &mut MemorySlot) {
        let by = match slot.copied_bytes() {
            0 => slot.choose(),
            _ => Strategy::Discard,
        };
        self.add_by(slot, by);
    }

    fn add_by(&mut self, slot: &mut MemorySlot, by: Strategy) {
        match slot.reset_by(by) {
            Ok(_) => self.n_single += 1,
            Err(_) => self.n_poisoned += 1,
        }
    }

    #[cfg(feature = "std")]
    pub(crate) const fn add(&mut self, other: &Self) {
        self.n_batched += other.n_batched;
        self.n_single += other.n_single;
        self.n_poisoned += other.n_poisoned;
    }
}

/// How many slots go into one system call. All of them are on the stack, so that slots
/// can be returned even when the allocator is exhausted. Beyond this size the cost per
/// slot hardly falls: eight times as many would gain almost nothing.
pub(crate) const CHUNK: usize = 128;

/// Slots whose pages are discarded together.
struct Batch<'a> {
    slots: [Option<&'a mut MemorySlot>; CHUNK],
    len: usize,
}

impl<'a> Batch<'a> {
    const fn new() -> Self {
        Self {
            slots: [const { None }; CHUNK],
            len: 0,
        }
    }

    /// Adds a slot to a batch that is not full, and returns whether it is full now.
    fn push(&mut self, slot: &'a mut MemorySlot) -> bool {
        self.slots[self.len] = Some(slot);
        self.len += 1;
        self.len == CHUNK
    }

    /// Resets all slots and empties the batch.
    fn reset(&mut self, report: &mut BatchReport) {
        let range = |slot: &MemorySlot| 0..slot.touched();
        self.discard_by(range, |slot, by| {
            if by == By::Nothing {
                return report.add_half_discarded(slot);
            }
            slot.free_tables_periodically();
            if slot.memory.is_lost() {
                slot.poison();
                report.n_poisoned += 1;
                return;
            }
            // Fails if a copied image cannot be removed.
            let Ok(discarded) = slot.discarded() else {
                return report.add_half_discarded(slot);
            };
            slot.ageing.after_reset(&discarded);
            slot.state = State::Ready;
            match by {
                By::Batch => report.n_batched += 1,
                By::Single | By::Nothing => report.n_single += 1,
            }
        });
    }

    /// Discards the pages of all slots and empties the batch.
    #[cfg(feature = "std")]
    fn discard(&mut self) {
        let range = |slot: &MemorySlot| 0..slot.touched();
        self.discard_by(range, |slot, by| match by {
            By::Batch | By::Single => {
                slot.kept_end = 0;
                slot.ageing.nothing_resident();
            }
            By::Nothing => slot.wipe(),
        });
    }

    /// Discards a range of each slot. The kernel ends a batch at a range that it refuses:
    /// that one is tried alone, and the batch continues after it. If it succeeds alone,
    /// batches do not work here.
    fn discard_by(
        &mut self,
        range: impl Fn(&MemorySlot) -> Range<usize>,
        mut done: impl FnMut(&mut MemorySlot, By),
    ) {
        let mut slots = mem::replace(&mut self.slots, [const { None }; CHUNK]);
        let mut rest = &mut slots[..mem::take(&mut self.len)];
        let mut has_batches = true;
        while !rest.is_empty() {
            let n_done = if has_batches {
                let ranges = rest.iter_mut().flatten().map(|slot| {
                    let range = range(slot);
                    (&mut slot.memory, range)
                });
                discard_many(ranges)
            } else {
                0
            };
            let (batched, others) = rest.split_at_mut(n_done);
            for slot in batched.iter_mut().flatten() {
                done(slot, By::Batch);
            }
            let Some((first, after)) = others.split_first_mut() else {
                return;
            };
            if let Some(slot) = first {
                let by = match slot.memory.discard(range(slot)) {
                    Ok(()) => By::Single,
                    Err(_) => By::Nothing,
                };
                has_batches &= by == By::Nothing;
                done(slot, by);
            }
            rest = after;
        }
    }
}

/// What discarded the pages of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Batch,
    Single,
    /// The system refused.
    Nothing,
}

#[cfg(all(test, feature = "std", target_os = "linux"))]
mod tests {
    use super::super::config::SlotConfig;
    use super::*;
    use crate::capabilities::Capabilities;
    use alloc::vec::Vec;
    use wasm_meminit_test_support::skips::skip_test;

    /// Each is larger than the kernel accepts in one call.
    #[test]
    fn large_memories_are_batched_too() {
        let bytes = 3 << 30;
        let slot = || MemorySlot::new(&SlotConfig::new(bytes)).ok();
        let Some(mut slots) = (0..3).map(|_| slot()).collect::<Option<Vec<_>>>() else {
            skip_test("there are not enough addresses");
            return;
        };
        if !Capabilities::get().batch.is_yes() {
            skip_test("this system has no batches");
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
