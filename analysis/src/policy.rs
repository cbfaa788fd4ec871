//! How an image is laid out, and when it is not worth having.

use crate::{HostPageSize, StartFunction};

/// How images are laid out, and when a memory is replayed instead.
///
/// Three presets: [`reference`](Self::reference), [`balanced`](Self::balanced) (the
/// default) and [`smallest`](Self::smallest). The builder methods change one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(crate) page_size: HostPageSize,
    pub(crate) layout: Layout,
    pub(crate) max_image_size: u64,
    pub(crate) assume_zeroed_imports: bool,
    pub(crate) start_function: StartFunction,
}

/// Where gaps are stored, a few bytes far apart would make an image of any size; one
/// above this many bytes is replayed unless the caller says otherwise.
const JOINED_LIMIT: u64 = 1 << 30;

/// The two families of layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One run per memory; all memories of the module, or none.
    SingleRun { max_image_size_always_allowed: u64 },
    /// As many runs as there are stretches of non-zero pages, joined by these rules.
    Runs { max_gap: u64, max_runs: usize },
}

impl Policy {
    /// The rule of the reference engine, which gives up a module as a whole.
    ///
    /// One run for each memory. Static only if every segment goes to a defined
    /// memory at an offset that is a single constant and in bounds, no memory with
    /// data has wasm pages below `page_size`, and each memory's span from lowest to
    /// highest address is less than twice its data bytes, or less than
    /// `max_image_size_always_allowed` bytes.
    pub const fn single_run(page_size: HostPageSize, max_image_size_always_allowed: u64) -> Self {
        Self {
            page_size,
            layout: Layout::SingleRun {
                max_image_size_always_allowed,
            },
            max_image_size: u64::MAX,
            assume_zeroed_imports: false,
            start_function: StartFunction::Runs,
        }
    }

    /// [`single_run`](Self::single_run) with the reference engine's own numbers: 1 MiB.
    pub const fn reference(page_size: HostPageSize) -> Self {
        Self::single_run(page_size, 1 << 20)
    }

    /// Sparse images of few runs: the default.
    ///
    /// Every certain byte is baked. Zero pages are left out, except in gaps of at
    /// most 64 KiB and where more than 1,024 runs would remain; images above 1 GiB
    /// are replayed.
    pub const fn balanced(page_size: HostPageSize) -> Self {
        Self {
            page_size,
            layout: Layout::Runs {
                max_gap: 1 << 16,
                max_runs: 1 << 10,
            },
            max_image_size: JOINED_LIMIT,
            assume_zeroed_imports: false,
            start_function: StartFunction::Runs,
        }
    }

    /// No zero page is stored, however many runs that makes.
    pub const fn smallest(page_size: HostPageSize) -> Self {
        Self {
            page_size,
            layout: Layout::Runs {
                max_gap: 0,
                max_runs: usize::MAX,
            },
            max_image_size: u64::MAX,
            assume_zeroed_imports: false,
            start_function: StartFunction::Runs,
        }
    }

    /// Joins runs that are at most this many bytes apart.
    ///
    /// A policy of one run becomes one of many runs.
    #[must_use]
    pub const fn with_max_gap(mut self, max_gap: u64) -> Self {
        let max_runs = match self.layout {
            Layout::Runs { max_runs, .. } => max_runs,
            Layout::SingleRun { .. } => usize::MAX,
        };
        self.layout = Layout::Runs { max_gap, max_runs };
        self
    }

    /// Joins runs across the smallest gaps until at most this many are left, which
    /// bounds the mappings of a memory; at least one.
    ///
    /// A policy of one run becomes one of many runs. Gaps that are joined are stored, so
    /// that a policy without a limit gets one of 1 GiB, which
    /// [`with_max_image_size`](Self::with_max_image_size) then lifts.
    #[must_use]
    pub const fn with_max_runs(mut self, max_runs: usize) -> Self {
        let max_gap = match self.layout {
            Layout::Runs { max_gap, .. } => max_gap,
            Layout::SingleRun { .. } => 0,
        };
        let max_runs = if max_runs == 0 { 1 } else { max_runs };
        self.layout = Layout::Runs { max_gap, max_runs };
        if self.max_image_size == u64::MAX {
            self.max_image_size = JOINED_LIMIT;
        }
        self
    }

    /// Replays a memory whose image would have more bytes than this.
    #[must_use]
    pub const fn with_max_image_size(mut self, bytes: u64) -> Self {
        self.max_image_size = bytes;
        self
    }

    /// Promises that every imported memory is fresh: zero, at least as large as the
    /// module declares, and not the same memory as another import.
    ///
    /// A linker or host that creates the memory itself knows this; its segments are
    /// then baked like those of a defined memory. Where the promise does not hold,
    /// the program's memory is wrong.
    #[must_use]
    pub const fn assume_zeroed_imports(mut self, promise: bool) -> Self {
        self.assume_zeroed_imports = promise;
        self
    }

    /// What becomes of the passive segments that a start function of wasm-ld writes, as
    /// threaded modules have it; [`StartFunction::Runs`] unless told.
    #[must_use]
    pub const fn start_function(mut self, start_function: StartFunction) -> Self {
        self.start_function = start_function;
        self
    }

    /// The page size that runs are aligned to.
    pub const fn page_size(&self) -> HostPageSize {
        self.page_size
    }
}

/// What it was made of, for an artifact that records it.
impl Policy {
    /// The span in bytes below which density does not matter, of a policy of one run for
    /// each memory; `None` for one of many runs.
    pub const fn max_image_size_always_allowed(&self) -> Option<u64> {
        match self.layout {
            Layout::SingleRun {
                max_image_size_always_allowed,
            } => Some(max_image_size_always_allowed),
            Layout::Runs { .. } => None,
        }
    }

    /// The widest gap in bytes over which runs are joined; 0 for a policy of one run.
    pub const fn max_gap(&self) -> u64 {
        match self.layout {
            Layout::SingleRun { .. } => 0,
            Layout::Runs { max_gap, .. } => max_gap,
        }
    }

    /// The most runs of a memory; `usize::MAX` without a limit.
    pub const fn max_runs(&self) -> usize {
        match self.layout {
            Layout::SingleRun { .. } => 1,
            Layout::Runs { max_runs, .. } => max_runs,
        }
    }

    /// The largest image in bytes; `u64::MAX` without a limit.
    pub const fn max_image_size(&self) -> u64 {
        self.max_image_size
    }

    /// Whether imported memories are promised to be fresh.
    pub const fn assumes_zeroed_imports(&self) -> bool {
        self.assume_zeroed_imports
    }

    /// What becomes of the segments that a start function writes.
    pub const fn treatment(&self) -> StartFunction {
        self.start_function
    }
}

/// [`Policy::balanced`] for pages of 4 KiB.
impl Default for Policy {
    fn default() -> Self {
        Self::balanced(HostPageSize::KIB_4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_runs_come_with_a_limit_that_can_be_lifted() {
        let few = Policy::smallest(HostPageSize::KIB_4).with_max_runs(1);
        assert_eq!(few.max_image_size, JOINED_LIMIT);
        assert_eq!(few.with_max_image_size(u64::MAX).max_image_size, u64::MAX);
        let small = Policy::smallest(HostPageSize::KIB_4).with_max_image_size(7);
        assert_eq!(small.with_max_runs(1).max_image_size, 7);
    }
}
