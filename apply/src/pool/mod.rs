//! Slots shared by the threads of a process.

mod config;
mod entry;
mod error;
mod free_list;
mod guard;
mod image_index;
mod images;
mod retired;
mod shared;
mod slab;
mod start;
mod stats;
mod together;
mod wait_queue;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub use self::config::{PoolConfig, ResetOn};
pub use self::error::AcquireError;
pub use self::guard::PooledSlot;
pub use self::stats::PoolStats;

use self::guard::PoolHandle;
use self::shared::{Padded, Shared};
use self::start::{Start, WaitPolicy};
use crate::batch::BatchReport;
use crate::error::SlotError;
use crate::image::MemoryImage;

/// Slots for many instances, from many threads.
///
/// A start prefers, in this order: a ready slot that holds the image from its last use
/// (nothing is mapped), one that holds none, a new one, and the one that has been ready
/// for longest. Each thread has a shard of its own, where it looks first, and where the
/// slots that it acquired come back, whoever ends their uses; it looks at others only when
/// there is no slot of the first two kinds. To find a slot costs the same however many
/// there are.
///
/// Threads that wait are served in the order they came. While any does, what comes back is
/// theirs: nobody who comes later takes it, and [`try_acquire`](Self::try_acquire) finds
/// nothing.
///
/// ```
/// extern crate alloc;
/// use alloc::sync::Arc;
/// use core::num::NonZeroUsize;
/// use wasm_meminit_apply::{MemoryImage, PoolConfig, SlotConfig, SlotPool};
/// use wasm_meminit_image_builder::Image;
///
/// let image = Image::capture(b"first state")?;
/// let image = Arc::new(MemoryImage::new(image.as_ref())?);
/// let max_slots = const { NonZeroUsize::new(64).unwrap() };
/// let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(1 << 20), max_slots));
///
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             for _ in 0..100 {
///                 let mut memory = pool.acquire(Some(&image), 65536).expect("room");
///                 assert_eq!(memory.as_slice()[..11], *b"first state");
///                 memory.as_mut_slice().fill(7);
///             }
///         });
///     }
/// });
/// let stats = pool.stats();
/// assert_eq!(stats.n_hits + stats.n_blank, 400);
/// assert!(stats.n_slots <= 4);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// # Bounds
///
/// There are never more than [`max_slots`](PoolConfig::new) slots, in use or not. When a
/// use ends and the slots kept more than [`max_resident`](PoolConfig::max_resident) bytes
/// at their last resets, ready slots discard their pages, and keep their mappings,
/// until seven eighths of the bound are left: shard by shard, beginning with the
/// thread's own, those ready for longest, at most a quarter of a shard at a time. What a
/// memory in use has written counts when its use ends.
///
/// # Failures
///
/// Where the system refuses a further slot or a mapping in one for lack of room (address
/// space, number of mappings), a start tries, in this order: a ready slot that holds the
/// image, one that holds none, and the one that has been ready for longest; then it drops
/// ready slots, the oldest first, until there is room. Once no slot is ready, it waits for
/// one in use as if the pool were full; it fails only if it may not wait, or there is
/// nothing to wait for. Refusals for another reason are returned at once.
///
/// A slot that a failure has poisoned is dropped, and replaced when another one is needed:
/// by the first thread that waits, if any does.
///
/// All the room that a slot needs to come back is made together with the slot. Nothing is
/// allocated when a use ends, when pages are discarded, or when slots are given up.
///
/// # End
///
/// A pool is a handle: clones are the same pool. When the last one is dropped, all slots
/// that nobody uses are unmapped. Those in use stay valid, and are unmapped as
/// their uses end.
///
/// # fork(2)
///
/// A child gets a copy of the pool, and of each memory in it, private to it; page maps
/// and process descriptors are opened anew. As with any lock, a child that is made while
/// other threads use the pool may find it locked for ever, and should only `exec`.
#[derive(Clone)]
pub struct SlotPool {
    owner: Arc<Owner>,
}

/// All handles of a pool together.
#[derive(Debug)]
struct Owner {
    /// For each shard, the same.
    handles: Box<[PoolHandle]>,
    shared: Arc<Shared>,
}

impl SlotPool {
    /// An empty pool. Slots are reserved when they are needed.
    pub fn new(mut config: PoolConfig) -> Self {
        config.slot = config.slot.among(config.max_slots.get());
        let shared = Arc::new(Shared::new(config));
        let handle = |_| Arc::new(Padded(Arc::clone(&shared)));
        Self {
            owner: Arc::new(Owner {
                handles: (0..shared.n_shards()).map(handle).collect(),
                shared,
            }),
        }
    }

    /// Starts a memory of `bytes` bytes with the first state that `image` says, or zero
    /// without one; waits for a slot if there is none. Threads are served in the order
    /// they came.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Slot`] where the memory does not fit, or the system refuses what
    /// waiting does not bring.
    pub fn acquire(
        &self,
        image: Option<&Arc<MemoryImage>>,
        bytes: u64,
    ) -> Result<PooledSlot, AcquireError> {
        self.start(image, bytes, WaitPolicy::Forever)
    }

    /// The same, but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// [`AcquireError::TimedOut`], and those of [`acquire`](Self::acquire).
    pub fn acquire_timeout(
        &self,
        image: Option<&Arc<MemoryImage>>,
        bytes: u64,
        timeout: Duration,
    ) -> Result<PooledSlot, AcquireError> {
        let policy = Instant::now()
            .checked_add(timeout)
            .map_or(WaitPolicy::Forever, WaitPolicy::Until);
        self.start(image, bytes, policy)
    }

    /// The same, but does not wait.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Exhausted`], also while other threads wait for a slot; and
    /// [`AcquireError::Slot`] where the memory does not fit, or the system refuses.
    pub fn try_acquire(
        &self,
        image: Option<&Arc<MemoryImage>>,
        bytes: u64,
    ) -> Result<PooledSlot, AcquireError> {
        self.start(image, bytes, WaitPolicy::Never)
    }

    fn start(
        &self,
        image: Option<&Arc<MemoryImage>>,
        bytes: u64,
        policy: WaitPolicy,
    ) -> Result<PooledSlot, AcquireError> {
        let shared = &self.owner.shared;
        // What would fail in any slot needs none.
        let max_bytes = shared.config.slot.max_bytes();
        if max_bytes < bytes {
            return Err(SlotError::TooLarge { bytes, max_bytes }.into());
        }
        if let Some(image) = image {
            image.check(bytes).map_err(SlotError::from)?;
        }
        let home = shared.home();
        let start = Start {
            shared,
            home,
            image,
            bytes,
            policy,
        };
        let entry = start.run()?;
        let handle = Arc::clone(&self.owner.handles[home]);
        Ok(PooledSlot::new(entry, handle))
    }

    /// Resets all slots that wait for it: see [`ResetOn::Batch`]. For a thread of its
    /// own, or whenever there is time.
    pub fn drain(&self) -> BatchReport {
        self.owner.shared.drain_all()
    }

    /// Gives up all slots that hold the image, so that its memory can be freed: for a
    /// module that is unloaded. Those that nobody uses are dropped now, those in use when
    /// their uses end.
    ///
    /// Only uses that have begun are meant: a later start from the image makes it one like
    /// any other.
    pub fn forget(&self, image: &Arc<MemoryImage>) {
        self.owner.shared.forget(image);
    }

    /// What the pool has done, and what it holds.
    pub fn stats(&self) -> PoolStats {
        self.owner.shared.stats()
    }
}

impl fmt::Debug for SlotPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotPool")
            .field("config", &self.owner.shared.config)
            .field("stats", &self.stats())
            .finish()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// No thread panics while it holds a lock of ours.
fn unpoisoned<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}
