//! The baked writes of a start function, described for the host that creates the memory.

use wasm_meminit_analysis::{MemoryIndex, Plan, StartFunction, ThreadLocal};

/// Describes an image that contains the writes of a threaded module's start function; see
/// [`StartFunction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BakedStart {
    /// The shared memory, which the host creates once for all threads, from the image.
    pub memory: MemoryIndex,
    /// The address of the flag that synchronises the threads.
    pub flag: u64,
    /// Whether the flag is 2 in the image, so that no thread writes. Otherwise it is 0, and
    /// the first thread still runs the rest of the start function.
    pub is_done: bool,
    /// The first thread's thread-local storage, if the program has any. With `is_done`, the
    /// host must set it up for the first instance as it does for later ones.
    pub thread_local: Option<ThreadLocal>,
}

impl BakedStart {
    pub(crate) fn of(plan: &Plan<'_>) -> Option<Self> {
        let start = plan.start().ok()?;
        Some(Self {
            memory: start.memory(),
            flag: start.flag(),
            is_done: plan.start_function() != StartFunction::WritesStripped,
            thread_local: start.thread_local(),
        })
    }

    /// Returns whether all addresses are valid in a memory of that size in bytes.
    pub(crate) fn fits(&self, min_bytes: u64) -> bool {
        let is_within = self.flag.checked_add(4).is_some_and(|end| end <= min_bytes);
        let is_tls_within = self.thread_local.is_none_or(|it| it.addr <= min_bytes);
        is_within && is_tls_within && self.flag.is_multiple_of(4)
    }

    /// Returns whether a builder can have chosen this treatment.
    pub(crate) const fn allows(&self, treatment: StartFunction) -> bool {
        match treatment {
            // Nobody would set up the first thread's storage: the function is skipped, and the
            // host promises nothing.
            StartFunction::AlreadyInitialized => self.is_done && self.thread_local.is_none(),
            StartFunction::AlreadyInitializedTls => self.is_done,
            StartFunction::WritesStripped => !self.is_done,
            _ => false,
        }
    }

    /// Returns the value of the flag in the image.
    pub(crate) const fn flag_value(&self) -> u32 {
        if self.is_done { 2 } else { 0 }
    }
}
