//! How an image is laid out, and when it is not worth having.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{HostPageSize, StartFunction};

/// How images are laid out, and when a memory is replayed instead.
///
/// Three presets: [`reference`](Self::reference), [`balanced`](Self::balanced) (the
/// default) and [`smallest`](Self::smallest). The builder methods change one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub(crate) page_size: HostPageSize,
    pub(crate) layout: Layout,
    pub(crate) max_image_size: u64,
    pub(crate) assume_zeroed_imports: bool,
    pub(crate) start_function: StartFunction,
}

/// Default limit of all images of a module together, in bytes. A few bytes far apart
/// would otherwise make images of any size: by gaps that are stored, by large pages, or by
/// many memories.
const DEFAULT_LIMIT: u64 = 1 << 30;

/// The two families of layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layout {
    /// One run per memory; all memories of the module, or none.
    SingleRun { max_image_size_always_allowed: u64 },
    /// As many runs as there are stretches of non-zero pages, joined by these rules.
    Runs {
        max_gap: u64,
        /// Never 0; `usize::MAX` without a limit.
        #[serde(with = "max_runs")]
        max_runs: usize,
    },
}

impl Policy {
    /// The rule of the reference engine, which gives up a module as a whole.
    ///
    /// One run for each memory, and beyond the reference's rule a limit of 1 GiB for all
    /// images together. Static only if every segment goes to a defined
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
            max_image_size: DEFAULT_LIMIT,
            assume_zeroed_imports: false,
            start_function: StartFunction::Runs,
        }
    }

    /// [`single_run`](Self::single_run) with the reference engine's own number: 16 MiB, the
    /// default of wasmtime's `Config::memory_guaranteed_dense_image_size`.
    pub const fn reference(page_size: HostPageSize) -> Self {
        Self::single_run(page_size, 16 << 20)
    }

    /// Sparse images of few runs: the default.
    ///
    /// Every certain byte is baked. Zero pages are left out, except in gaps of at
    /// most 64 KiB and where more than 1,024 runs would remain.
    pub const fn balanced(page_size: HostPageSize) -> Self {
        Self {
            page_size,
            layout: Layout::Runs {
                max_gap: 1 << 16,
                max_runs: 1 << 10,
            },
            max_image_size: DEFAULT_LIMIT,
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
            max_image_size: DEFAULT_LIMIT,
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
    /// A policy of one run becomes one of many runs. Gaps that are joined are stored, up
    /// to [`with_max_image_size`](Self::with_max_image_size).
    #[must_use]
    pub const fn with_max_runs(mut self, max_runs: usize) -> Self {
        let max_gap = match self.layout {
            Layout::Runs { max_gap, .. } => max_gap,
            Layout::SingleRun { .. } => 0,
        };
        let max_runs = if max_runs == 0 { 1 } else { max_runs };
        self.layout = Layout::Runs { max_gap, max_runs };
        self
    }

    /// Limits the images of a module, together, to this many bytes. Default: 1 GiB, for
    /// every policy.
    ///
    /// A memory whose image is larger alone is replayed ([`Reason::SizeLimit`]), and so is
    /// one whose image no longer fits beside those of the memories before it
    /// ([`Reason::ModuleSizeLimit`]).
    ///
    /// [`Reason::SizeLimit`]: crate::Reason::SizeLimit
    /// [`Reason::ModuleSizeLimit`]: crate::Reason::ModuleSizeLimit
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
    ///
    /// A *shared* memory is fresh for the first instance alone. Every later one, a thread,
    /// writes the module's active segments once more, over what the program has made of
    /// them; an image stands for the first time only. So the host gives the image to the
    /// memory when it creates it, and makes every later instance from the original module
    /// by the rules of the specification, not from a stripped one.
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

    /// Across how many bytes runs are joined; `None` for a policy of
    /// [one run](Self::single_run).
    pub const fn max_gap(&self) -> Option<u64> {
        match self.layout {
            Layout::Runs { max_gap, .. } => Some(max_gap),
            Layout::SingleRun { .. } => None,
        }
    }

    /// How many runs a memory has at most; `usize::MAX` without a limit.
    pub const fn max_runs(&self) -> usize {
        match self.layout {
            Layout::Runs { max_runs, .. } => max_runs,
            Layout::SingleRun { .. } => 1,
        }
    }

    /// Below which span in bytes density does not matter to a policy of
    /// [one run](Self::single_run); `None` for all others.
    pub const fn max_image_size_always_allowed(&self) -> Option<u64> {
        match self.layout {
            Layout::Runs { .. } => None,
            Layout::SingleRun {
                max_image_size_always_allowed,
            } => Some(max_image_size_always_allowed),
        }
    }

    /// How many bytes all images of a module have at most.
    pub const fn max_image_size(&self) -> u64 {
        self.max_image_size
    }

    /// Whether imported memories are promised to be fresh.
    pub const fn assumes_zeroed_imports(&self) -> bool {
        self.assume_zeroed_imports
    }

    /// What becomes of what a start function of wasm-ld writes.
    pub const fn treatment_of_start(&self) -> StartFunction {
        self.start_function
    }
}

/// `host pages of 4096 bytes, runs joined across at most 65536 bytes, …`
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host pages of {} bytes", self.page_size.bytes())?;
        match self.layout {
            Layout::SingleRun {
                max_image_size_always_allowed,
            } => write!(
                f,
                ", one run, dense or shorter than {max_image_size_always_allowed} bytes"
            )?,
            Layout::Runs { max_gap, max_runs } => {
                write!(f, ", runs joined across at most {max_gap} bytes")?;
                if max_runs != usize::MAX {
                    write!(f, ", at most {max_runs} runs per memory")?;
                }
            }
        }
        if self.max_image_size != u64::MAX {
            write!(f, ", at most {} bytes per module", self.max_image_size)?;
        }
        if self.assume_zeroed_imports {
            f.write_str(", imported memories assumed to be zero")?;
        }
        Ok(())
    }
}

/// The same number on every target, and never 0.
mod max_runs {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    pub(super) fn serialize<S: Serializer>(n: &usize, to: S) -> Result<S::Ok, S::Error> {
        let n = (*n != usize::MAX).then(|| u64::try_from(*n).unwrap_or(u64::MAX));
        n.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
        match Option::<u64>::deserialize(from)? {
            Some(0) => Err(D::Error::custom("a policy of 0 runs")),
            Some(n) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
            None => Ok(usize::MAX),
        }
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
    fn every_policy_comes_with_a_limit_that_can_be_lifted() {
        let few = Policy::smallest(HostPageSize::KIB_4).with_max_runs(1);
        for policy in [
            few,
            few.with_max_gap(1 << 40),
            Policy::balanced(HostPageSize::KIB_4),
            Policy::reference(HostPageSize::KIB_4),
            Policy::reference(HostPageSize::KIB_4).with_max_gap(1 << 40),
        ] {
            assert_eq!(policy.max_image_size, DEFAULT_LIMIT);
        }
        assert_eq!(few.with_max_image_size(u64::MAX).max_image_size, u64::MAX);
        let small = Policy::smallest(HostPageSize::KIB_4).with_max_image_size(7);
        assert_eq!(small.with_max_runs(1).max_image_size, 7);
    }
}
