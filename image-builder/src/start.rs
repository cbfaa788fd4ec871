//! What an image holds in place of a start function, for whoever creates the memory.

use serde::{Deserialize, Serialize};
use wasm_meminit_analysis::{GlobalIndex, MemoryIndex, Plan, StartFunction, ThreadLocal};

/// An image holds what the start function of a threaded module writes; see
/// [`StartFunction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BakedStart {
    /// The shared memory: the host creates it, once for all threads, from the image.
    pub memory: MemoryIndex,
    /// The address in bytes of the flag that the threads agree by.
    pub flag: u64,
    /// Whether the flag stands at 2 in the image, so that no thread writes. Otherwise it
    /// is 0, and the first one still does what remains.
    pub is_done: bool,
    /// What the first thread's own storage is, where the program has such. With
    /// `is_done`, the host gives the first instance storage as it does later ones.
    pub thread_local: Option<ThreadLocal>,
}

impl BakedStart {
    pub(crate) fn of(plan: &Plan<'_>) -> Option<Self> {
        let start = plan.start().ok()?;
        Some(Self {
            memory: start.memory(),
            flag: start.flag(),
            is_done: plan.start_function() != StartFunction::Emptied,
            thread_local: start.thread_local(),
        })
    }
}

/// The same in the header of an artifact.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct StartHead {
    memory: u32,
    flag: u64,
    is_done: bool,
    /// The global's index and its value.
    thread_local: Option<(u32, u64)>,
}

impl StartHead {
    pub(crate) fn new(it: &BakedStart) -> Self {
        Self {
            memory: it.memory.as_u32(),
            flag: it.flag,
            is_done: it.is_done,
            thread_local: it.thread_local.map(|it| (it.global.as_u32(), it.address)),
        }
    }

    /// The start, if it can be true of a module with memories of these sizes in bytes.
    pub(crate) fn check(self, min_bytes: &dyn Fn(u32) -> Option<u64>) -> Option<BakedStart> {
        let min_bytes = min_bytes(self.memory)?;
        let is_within = self.flag.checked_add(4)? <= min_bytes;
        let thread_local = match self.thread_local {
            // Index types panic on the reserved value in debug builds.
            Some((u32::MAX, _)) => return None,
            Some((global, address)) => Some(ThreadLocal {
                global: GlobalIndex::from_u32(global),
                address,
            }),
            None => None,
        };
        let is_theirs = thread_local.is_none_or(|it| it.address <= min_bytes);
        (is_within && is_theirs && self.flag.is_multiple_of(4)).then_some(BakedStart {
            memory: MemoryIndex::from_u32(self.memory),
            flag: self.flag,
            is_done: self.is_done,
            thread_local,
        })
    }
}
