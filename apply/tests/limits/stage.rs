//! A pool with images, and operations on it at a limit.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wasm_meminit_apply::{
    AcquireError, Call, MemoryImage, MemorySlot, PoolConfig, PooledSlot, ResetOn, SlotConfig,
    SlotError, SlotPool,
};
use wasm_meminit_test_support::images::n;
use wasm_meminit_test_support::report::Report;

use crate::common::{BEST, PAGE, assert_same, bytes, image, state};

pub(crate) const SECRET: u8 = 0xa5;
pub(crate) const LEN: usize = 64 * PAGE;
pub(crate) const MAX_SLOTS: usize = 8;
const N_READY: usize = 4;

/// The results of starts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) n_served: u64,
    pub(crate) n_hits: u64,
    pub(crate) n_waited: u64,
    pub(crate) n_refused: u64,
    pub(crate) n_exhausted: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} served ({} hits), {} waited, {} refused by the system, {} found the pool exhausted",
            self.n_served, self.n_hits, self.n_waited, self.n_refused, self.n_exhausted
        )
    }
}

/// A pool, and images with the contents that they hold; the first is no image and zeros.
pub(crate) struct Stage {
    pub(crate) pool: SlotPool,
    pub(crate) pictures: [(Option<Arc<MemoryImage>>, Vec<u8>); 3],
    pub(crate) counts: Counts,
}

/// Two pieces far apart, so that a slot takes several mappings.
pub(crate) fn states() -> [Vec<u8>; 2] {
    let mut a = state(40 * PAGE, &[(3, 200, 1), (30 * PAGE, 10 * PAGE, 2)]);
    let mut b = state(50 * PAGE, &[(7 * PAGE, 9 * PAGE, 3), (49 * PAGE, 5, 4)]);
    a.truncate(40 * PAGE);
    b.truncate(50 * PAGE);
    [a, b]
}

impl Stage {
    /// Creates a pool with ready slots of the first image.
    pub(crate) fn new(n_shards: usize, reset_on: ResetOn) -> Self {
        let [a, b] = states();
        let config = PoolConfig::new(SlotConfig::new(bytes(LEN)), n(MAX_SLOTS));
        let pictures = [
            (None, vec![0; LEN]),
            (Some(image(BEST, &a)), resized(a)),
            (Some(image(BEST, &b)), resized(b)),
        ];
        let pool = SlotPool::new(config.with_shards(n(n_shards)).with_reset_on(reset_on));
        let stage = Self {
            pool,
            pictures,
            counts: Counts::default(),
        };
        stage.warm_up();
        stage
    }

    fn warm_up(&self) {
        let start = |_| {
            let mut slot = self.start(1).expect("room");
            slot.as_mut_slice().fill(SECRET);
            slot
        };
        let held: Vec<_> = (0..N_READY).map(start).collect();
        drop(held);
        self.pool.drain();
    }

    pub(crate) fn start(&self, which: usize) -> Result<PooledSlot, AcquireError> {
        let image = self.pictures[which].0.as_ref();
        self.pool.try_acquire(image, bytes(LEN))
    }

    /// Compares every byte, and then writes secrets.
    pub(crate) fn use_up(&self, slot: &mut PooledSlot, which: usize) {
        assert_same(slot.as_slice(), &self.pictures[which].1, "at the limit");
        slot.as_mut_slice().fill(SECRET);
    }

    /// Starts from each image in turn, one slot at a time: must always succeed.
    pub(crate) fn serve_each(&mut self) {
        for which in [1, 1, 2, 2, 0, 1, 2, 1, 0, 0, 2] {
            match self.start(which) {
                Ok(mut slot) => self.use_up(&mut slot, which),
                Err(err) => panic!("image {which}: {err}, {:?}", self.pool.stats()),
            }
            self.counts.n_served += 1;
        }
    }

    /// Holds all slots, and drops one for each thread that waits.
    pub(crate) fn serve_all(&mut self, codes: &[i32]) {
        let mut held = Vec::with_capacity(MAX_SLOTS);
        let err = loop {
            let which = held.len() % 3;
            match self.start(which) {
                Ok(mut slot) => {
                    self.use_up(&mut slot, which);
                    held.push(slot);
                    self.counts.n_served += 1;
                }
                Err(err) => break err,
            }
        };
        assert!(!held.is_empty());
        match err {
            AcquireError::Exhausted { .. } => {
                assert_eq!(held.len(), MAX_SLOTS);
                self.counts.n_exhausted += 1;
            }
            AcquireError::Slot(SlotError::Os(err)) => {
                assert!(codes.contains(&err.code()), "{err}");
                self.counts.n_refused += 1;
            }
            err => panic!("{err}"),
        }
        // No slot is returned in time.
        let image = self.pictures[2].0.as_ref();
        let late = self
            .pool
            .acquire_timeout(image, bytes(LEN), Duration::from_millis(5));
        let late = late.map(drop);
        let is_typed = match late {
            // This image needs fewer mappings than the one that was refused.
            Ok(()) => self.counts.n_refused != 0,
            Err(AcquireError::TimedOut { .. }) => true,
            // No memory for waiting: the heap grows by mappings too.
            Err(AcquireError::Slot(SlotError::Os(err))) => err.call() == Call::Allocate,
            _ => false,
        };
        assert!(is_typed, "{late:?}, {:?}", self.pool.stats());
    }

    /// After the limit is lifted: as many slots as before, and all of them correct.
    pub(crate) fn is_as_before(&mut self) {
        for _ in 0..3 {
            let held: Vec<_> = (0..MAX_SLOTS)
                .map(|nth| {
                    let mut slot = self.start(nth % 3).expect("no limit any more");
                    self.use_up(&mut slot, nth % 3);
                    slot
                })
                .collect();
            drop(held);
        }
        let stats = self.pool.stats();
        assert_eq!(stats.n_slots, bytes(MAX_SLOTS), "{stats:?}");
    }

    pub(crate) fn finish(mut self, what: &str, max_poisoned: u64) {
        let stats = self.pool.stats();
        self.counts.n_hits = stats.n_hits;
        self.counts.n_waited = stats.n_waits;
        assert!(stats.n_poisoned <= max_poisoned, "{what}: {stats:?}");
        eprintln!("{what}: {}, {} poisoned", self.counts, stats.n_poisoned);
    }
}

fn resized(mut state: Vec<u8>) -> Vec<u8> {
    state.resize(LEN, 0);
    state
}

/// Reserves room on this thread's heap that no limit removes: it is freed, but below a
/// block that is not, so the allocator does not return it to the system.
pub(crate) fn ballast() -> Box<[u8]> {
    let chunks: Vec<Box<[u8]>> = (0..64).map(|_| vec![1; 1 << 16].into()).collect();
    let pin = vec![1; 1 << 10].into();
    drop(chunks);
    pin
}

/// Returns a number from /proc/self/status, in bytes.
pub(crate) fn status(name: &str) -> u64 {
    let bytes = Report::status().bytes(name).expect("/proc");
    u64::try_from(bytes).expect("64 bits")
}

pub(crate) fn limited<T>(resource: Resource, current: u64, act: impl FnOnce() -> T) -> T {
    let limit = getrlimit(resource);
    let lower = Rlimit {
        current: Some(current),
        ..limit
    };
    setrlimit(resource, lower).expect("lower is allowed");
    let done = act();
    setrlimit(resource, limit).expect("as before");
    done
}

/// How many fillers are freed for room again: more than any stage takes, and few enough to be made
/// again soon.
const ROOM: usize = 2000;

/// Lifts the limit that [`fill_mappings`] brought about.
pub(crate) fn leave_room(filler: &mut Vec<MemorySlot>) {
    filler.truncate(filler.len().saturating_sub(ROOM));
}

/// Uses up the process's mappings except `n_left`, or a few more.
pub(crate) fn fill_mappings(filler: &mut Vec<MemorySlot>, n_left: usize) -> bool {
    let config = SlotConfig::new(bytes(PAGE)).with_guard(bytes(PAGE));
    loop {
        if filler.len() == filler.capacity() {
            return false;
        }
        let made = MemorySlot::new(&config).and_then(|mut slot| {
            slot.instantiate(None, bytes(PAGE))?;
            filler.push(slot);
            Ok(())
        });
        if made.is_err() {
            break;
        }
    }
    filler.truncate(filler.len() - n_left / 2);
    // Two mappings each: one is used by a hole.
    true
}
