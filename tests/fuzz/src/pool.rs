//! Calls of a pool, compared with plain byte vectors.

use core::num::NonZeroUsize;
use core::time::Duration;

use arbitrary::{Result, Unstructured};
use wasm_meminit_apply::{
    AcquireError, MemoryTooSmall, PoolConfig, PooledSlot, ResetOn, SlotConfig, SlotError, SlotPool,
};
use wasm_meminit_test_support::initial_contents::{PAGE, bytes};

use crate::system::{
    self, MAX_BYTES, Picture, assert_same, edge, is_refusal, pictures, was_refused,
};

/// A memory in use, and its expected bytes.
struct Memory {
    slot: PooledSlot,
    expected: Vec<u8>,
}

struct World {
    pool: SlotPool,
    max_slots: usize,
    max_resident: u64,
    pictures: Vec<Picture>,
    memories: Vec<Memory>,
    n_starts: u64,
    /// Whether each start is compared: otherwise pages stay untouched.
    looks: bool,
}

/// Returns whether a second memory was started.
pub(crate) fn run(input: &[u8]) -> bool {
    system::run(input, sequence)
}

fn sequence(u: &mut Unstructured<'_>, is_reached: &mut bool) -> Result<()> {
    let n = |n| NonZeroUsize::new(n).expect("not zero");
    let slot = SlotConfig::new(bytes(MAX_BYTES))
        .with_strategy(system::strategy(u)?)
        .with_keep_resident(*u.choose(&[0, 3 * 4096, 1 << 22, u64::MAX])?)
        .with_max_pieces(*u.choose(&[1, 8])?);
    let max_slots = u.int_in_range(1..=5)?;
    let max_resident = *u.choose(&[0, 10 * 4096, u64::MAX])?;
    let reset_on = match u.int_in_range(0..=3)? {
        0 | 1 => ResetOn::Return,
        _ => ResetOn::Batch(n(u.int_in_range(1..=6)?)),
    };
    let config = PoolConfig::new(slot, n(max_slots))
        .with_shards(n(u.int_in_range(1..=4)?))
        .with_max_resident(max_resident)
        .with_reset_on(reset_on);
    let mut world = World {
        pool: SlotPool::new(config),
        max_slots,
        max_resident,
        pictures: pictures(),
        memories: Vec::new(),
        n_starts: 0,
        looks: u.arbitrary()?,
    };
    while !u.is_empty() {
        world.step(u)?;
        world.check_stats();
        *is_reached = 1 < world.n_starts;
    }
    for memory in &world.memories {
        assert_same(memory.slot.as_slice(), &memory.expected, "at the end");
    }
    Ok(())
}

impl World {
    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let op = u.int_in_range(0..=15)?;
        let nth = usize::from(u.arbitrary::<u8>()?).checked_rem(self.memories.len());
        if u.ratio(1, 4)? {
            system::refuse(u)?;
        }
        match (op, nth) {
            (0..5, _) => self.start(u)?,
            (5, _) => {
                self.pool.drain();
                system::recover();
                assert_eq!(self.pool.stats().n_queued, 0);
            }
            (6, _) => {
                if let Some(image) = &u.choose(&self.pictures)?.image {
                    self.pool.evict(image);
                }
            }
            (7..10, Some(nth)) => self.end(nth),
            (10, Some(nth)) => self.zero(nth),
            (11 | 12, Some(nth)) => self.grow(nth, u)?,
            (_, Some(nth)) => self.write(nth, u)?,
            (_, None) => {}
        }
        system::recover();
        Ok(())
    }

    fn start(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let picture = u.choose(&self.pictures)?;
        let end = picture.end();
        let len = match u.int_in_range(0..=3)? {
            0 => end,
            1 => edge(u, MAX_BYTES + PAGE)?,
            _ => end + edge(u, MAX_BYTES - end)?,
        };
        let image = picture.image.as_ref();
        let acquired = match u.arbitrary()? {
            true => self.pool.try_acquire(image, bytes(len)),
            // No other thread returns a slot meanwhile.
            false => self.pool.acquire_timeout(image, bytes(len), Duration::ZERO),
        };
        match acquired {
            Ok(slot) => {
                assert!(len <= MAX_BYTES && end <= len);
                let expected = picture.memory(len);
                assert_eq!(slot.len(), bytes(len));
                if self.looks {
                    assert_same(slot.as_slice(), &expected, "at the start");
                }
                self.n_starts += 1;
                self.memories.push(Memory { slot, expected });
                assert!(self.memories.len() <= self.max_slots);
            }
            Err(AcquireError::Slot(SlotError::TooLarge { .. })) => assert!(MAX_BYTES < len),
            Err(AcquireError::Slot(SlotError::MemoryTooSmall(MemoryTooSmall { .. }))) => {
                assert!(len < end);
            }
            Err(AcquireError::Slot(err)) => assert!(is_refusal(&err), "{err}"),
            Err(AcquireError::Exhausted { .. } | AcquireError::TimedOut { .. }) => {
                let is_full = self.memories.len() == self.max_slots;
                assert!(is_full || was_refused(), "refused too early");
            }
            Err(err) => panic!("{err}"),
        }
        Ok(())
    }

    /// Returns a slot, which may be refused to be reset: then it is dropped.
    fn end(&mut self, nth: usize) {
        let memory = self.memories.swap_remove(nth);
        assert_same(memory.slot.as_slice(), &memory.expected, "at its end");
        drop(memory);
    }

    fn zero(&mut self, nth: usize) {
        let memory = &mut self.memories[nth];
        let was_poisoned = memory.slot.is_poisoned();
        match memory.slot.zero() {
            Ok(()) => memory.expected.fill(0),
            Err(SlotError::Poisoned) if was_poisoned => {}
            Err(err) => panic!("{err}"),
        }
        assert_same(memory.slot.as_slice(), &memory.expected, "after `zero`");
    }

    fn grow(&mut self, nth: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let memory = &mut self.memories[nth];
        let len = memory.expected.len();
        let to = len + edge(u, 4 * PAGE)?;
        let was_poisoned = memory.slot.is_poisoned();
        match memory.slot.grow(bytes(to)) {
            Ok(()) => {
                assert!(to <= MAX_BYTES);
                memory.expected.resize(to, 0);
            }
            Err(SlotError::TooLarge { .. }) => assert!(MAX_BYTES < to),
            Err(SlotError::Poisoned) if was_poisoned => {}
            Err(err) => {
                assert!(is_refusal(&err), "{err}");
                // The size is unchanged, or the slot is poisoned and has no memory.
                if memory.slot.is_empty() {
                    memory.expected.clear();
                }
            }
        }
        assert_same(memory.slot.as_slice(), &memory.expected, "after growth");
        Ok(())
    }

    fn write(&mut self, nth: usize, u: &mut Unstructured<'_>) -> Result<()> {
        let memory = &mut self.memories[nth];
        let len = memory.expected.len();
        let from = edge(u, len)?;
        let to = match u.int_in_range(0..=2)? {
            0 => len,
            1 => len.min(from + 1),
            _ => len.min(from + edge(u, 4 * PAGE)?),
        };
        let step = *u.choose(&[1, PAGE, 3 * PAGE])?;
        let byte = u.arbitrary::<u8>()? | 1;
        for bytes in [memory.slot.as_mut_slice(), &mut memory.expected] {
            let written = bytes[from..to].iter_mut().step_by(step);
            written.for_each(|it| *it = byte);
        }
        Ok(())
    }

    fn check_stats(&self) {
        let stats = self.pool.stats();
        assert_eq!(stats.n_hits + stats.n_maps + stats.n_blank, self.n_starts);
        let n_here = stats.n_ready + stats.n_queued + bytes(self.memories.len());
        assert_eq!(stats.n_slots, n_here, "{stats:?}");
        assert!(stats.n_slots <= bytes(self.max_slots), "{stats:?}");
        assert!(stats.resident_bytes <= self.max_resident, "{stats:?}");
    }
}
