//! A pool of slots shared by the threads of a process.

mod attempt;
mod batch_reset;
mod condvars;
mod config;
mod entry;
mod error;
mod find;
mod free_list;
mod guard;
mod image_index;
mod images;
#[cfg(all(test, shuttle))]
mod models;
mod retired;
mod shared;
mod slab;
mod start;
mod stats;
mod sync;
mod take_back;
mod wait_queue;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use std::time::Instant;

pub use self::config::{PoolConfig, ResetOn};
pub use self::error::AcquireError;
pub use self::guard::PooledSlot;
pub use self::stats::PoolStats;

use self::find::{Start, WaitPolicy};
use self::guard::PoolHandle;
use self::shared::{Padded, Shared};
use crate::error::SlotError;
use crate::image::MemoryImage;
use crate::slot::BatchReport;

/// A pool of memory slots, shared by the threads of a process.
///
/// A start prefers, in this order: a ready slot that still holds the image from its last
/// use (nothing is mapped), one that holds none, a new one, and the one that has been
/// ready for longest. Each thread has a home shard, where it looks first, and where the
/// slots that it acquired are returned, whichever thread ends their uses. It searches
/// other shards only if there is no slot of the first two kinds. Finding a slot takes
/// constant time.
///
/// Waiting threads are served in the order of arrival. While any thread waits, returned
/// slots go to waiting threads only: later callers do not overtake them, and
/// [`try_acquire`](Self::try_acquire) fails.
///
/// ```
/// extern crate alloc;
/// use alloc::sync::Arc;
/// use core::num::NonZeroUsize;
/// use wasm_meminit_apply::{MemoryImage, PoolConfig, SlotConfig, SlotPool};
/// use wasm_meminit_image_builder::Image;
///
/// let image = Image::capture(b"hello world")?;
/// let image = Arc::new(MemoryImage::new(image.as_ref())?);
/// let max_slots = const { NonZeroUsize::new(64).unwrap() };
/// let pool = SlotPool::new(PoolConfig::new(SlotConfig::new(1 << 20), max_slots));
///
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             for _ in 0..100 {
///                 let mut memory = pool.acquire(Some(&image), 65536).expect("room");
///                 assert_eq!(memory.as_slice()[..11], *b"hello world");
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
/// # Limits
///
/// There are never more than [`max_slots`](PoolConfig::new) slots, in use or not. If the
/// slots kept more than [`with_max_resident`](PoolConfig::with_max_resident) bytes at their last
/// resets when a use ends, ready slots discard their pages, and keep their mappings,
/// until usage is down to seven eighths of the limit: shard by shard, beginning with the
/// thread's own, those ready for longest first, at most a quarter of a shard at a time.
/// What a memory in use has written counts when its use ends.
///
/// # Failures
///
/// If the system refuses a further slot, or a mapping in one, for lack of room (address
/// space, number of mappings), a start tries, in this order: a ready slot that holds the
/// image, one that holds none, and the one that has been ready for longest; then it drops
/// ready slots, the oldest first, until there is room. Once no slot is ready, it waits
/// for one in use as if the pool were full. It fails only if it may not wait, or there is
/// nothing to wait for. Refusals for other reasons are returned immediately.
///
/// A slot that a failure has poisoned is dropped, and replaced when another one is
/// needed: by the first waiting thread, if any.
///
/// Everything that a slot needs in order to be returned is allocated together with the
/// slot. Nothing is allocated when a use ends, when pages are discarded, or when slots
/// are dropped.
///
/// # Dropping the pool
///
/// `SlotPool` is a handle: clones share one pool. When the last handle is dropped, all
/// unused slots are unmapped. Slots in use stay valid, and are unmapped as their uses
/// end.
///
/// # fork(2)
///
/// A child gets a private copy of the pool and of each memory in it; page maps and
/// process descriptors are opened again. As with any lock, a child that is created while
/// other threads use the pool may find it locked forever, and should only `exec`.
#[derive(Clone)]
pub struct SlotPool {
    owner: Arc<Owner>,
}

/// The state shared by all handles of a pool.
#[derive(Debug)]
struct Owner {
    /// One handle for each shard; all refer to the same pool.
    handles: Box<[PoolHandle]>,
    shared: Arc<Shared>,
}

impl SlotPool {
    /// Creates an empty pool. Slots are reserved when they are needed.
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

    /// Starts a memory of `bytes` bytes, and waits for a slot if there is none.
    ///
    /// The memory has the initial contents from `image`, or is zeroed without one.
    /// Threads are served in the order of arrival.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Slot`] if the memory does not fit, or the system fails in a way
    /// that waiting cannot resolve.
    pub fn acquire(
        &self,
        image: Option<&Arc<MemoryImage>>,
        bytes: u64,
    ) -> Result<PooledSlot, AcquireError> {
        self.start(image, bytes, WaitPolicy::Forever)
    }

    /// Does the same as [`acquire`](Self::acquire), but waits no longer than `timeout`.
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

    /// Does the same as [`acquire`](Self::acquire), but does not wait.
    ///
    /// # Errors
    ///
    /// [`AcquireError::Exhausted`], also while other threads wait for a slot;
    /// [`AcquireError::Slot`] if the memory does not fit, or the system fails.
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
        // Checks that fail for every slot come first.
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

    /// Resets all queued slots: see [`ResetOn::Batch`].
    ///
    /// Call it from a dedicated thread, or whenever there is time.
    pub fn drain(&self) -> BatchReport {
        self.owner.shared.drain_all()
    }

    /// Drops all slots that hold the image, so that its memory can be freed.
    ///
    /// For a module that is unloaded. Unused slots are dropped now, those in use when
    /// their uses end.
    ///
    /// Only uses that have already begun are affected: a later start from the image makes
    /// it an ordinary image again.
    pub fn evict(&self, image: &Arc<MemoryImage>) {
        self.owner.shared.evict(image);
    }

    /// Returns counters of what the pool has done, and what it holds now.
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
