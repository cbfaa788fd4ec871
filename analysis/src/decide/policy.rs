//! How images are laid out, and when a memory is replayed instead.

use core::fmt;

use crate::{HostPageSize, StartFunction};

/// How images are laid out, and when a memory is replayed instead.
///
/// There are three presets: [`reference`](Self::reference), [`balanced`](Self::balanced)
/// (the default) and [`smallest`](Self::smallest). Each builder method changes one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Policy {
    pub(crate) page_size: HostPageSize,
    pub(crate) layout: Layout,
    pub(crate) max_image_size: u64,
    pub(crate) assume_zeroed_imports: bool,
    pub(crate) start_function: StartFunction,
}

/// Default limit on the total size of a module's images, in bytes. Without it, a few bytes
/// far apart could produce images of any size, because of stored gaps, large pages, or many
/// memories.
const DEFAULT_LIMIT: u64 = 1 << 30;

/// Default limit on the runs of a memory, and so on its mappings.
const DEFAULT_RUNS: usize = 1 << 10;

/// The two families of layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub(crate) enum Layout {
    /// One run per memory, for all memories of the module or for none.
    SingleRun { max_image_size_always_allowed: u64 },
    /// One run for each range of non-zero pages, joined by these rules.
    Runs {
        max_gap: u64,
        /// Never 0; `usize::MAX` means no limit.
        #[cfg_attr(feature = "serde", serde(with = "max_runs"))]
        max_runs: usize,
    },
}

impl Policy {
    /// Creates a policy with the all-or-nothing rule of the reference engine, wasmtime.
    ///
    /// Each memory has one run. A module is static only if every segment is written to a
    /// defined memory at an offset that is a single constant and in bounds, no memory with
    /// data has wasm pages smaller than `page_size`, and each memory's span from lowest to
    /// highest address is less than twice its data bytes, or less than
    /// `max_image_size_always_allowed` bytes. In addition to the reference's rule, all images
    /// together are limited to 1 GiB.
    pub const fn single_run(page_size: HostPageSize, max_image_size_always_allowed: u64) -> Self {
        Self {
            page_size,
            layout: Layout::SingleRun {
                max_image_size_always_allowed,
            },
            max_image_size: DEFAULT_LIMIT,
            assume_zeroed_imports: false,
            start_function: StartFunction::Unchanged,
        }
    }

    /// Creates a [`single_run`](Self::single_run) policy with wasmtime's default: 16 MiB, as
    /// in `Config::memory_guaranteed_dense_image_size`.
    pub const fn reference(page_size: HostPageSize) -> Self {
        Self::single_run(page_size, 16 << 20)
    }

    /// Creates the default policy: sparse images with few runs.
    ///
    /// Every known byte is baked. Zero pages are omitted, except in gaps of at most 64 KiB
    /// and where more than 1,024 runs would remain.
    pub const fn balanced(page_size: HostPageSize) -> Self {
        Self {
            page_size,
            layout: Layout::Runs {
                max_gap: 1 << 16,
                max_runs: DEFAULT_RUNS,
            },
            max_image_size: DEFAULT_LIMIT,
            assume_zeroed_imports: false,
            start_function: StartFunction::Unchanged,
        }
    }

    /// Creates a policy that stores no zero page, however many runs that takes.
    pub const fn smallest(page_size: HostPageSize) -> Self {
        Self {
            page_size,
            layout: Layout::Runs {
                max_gap: 0,
                max_runs: usize::MAX,
            },
            max_image_size: DEFAULT_LIMIT,
            assume_zeroed_imports: false,
            start_function: StartFunction::Unchanged,
        }
    }

    /// Joins runs that are at most this many bytes apart.
    ///
    /// Turns a [single-run](Self::single_run) policy into one with many runs.
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
    /// bounds the number of mappings per memory. 0 is treated as 1.
    ///
    /// Turns a [single-run](Self::single_run) policy into one with many runs. Closed gaps
    /// are stored, up to [`with_max_image_size`](Self::with_max_image_size).
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

    /// Limits the total size of a module's images, in bytes. Default: 1 GiB, for every
    /// policy.
    ///
    /// A memory is replayed if its image alone exceeds the limit ([`Reason::SizeLimit`]), or
    /// if its image and those of the memories before it exceed it together
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
    /// A linker or host that creates the memory itself can make this promise. Segments are
    /// then baked like those of a defined memory. If the promise does not hold, the memory
    /// has wrong contents. It does not apply to memories that are
    /// [imported twice](crate::Module::is_imported_twice). Default: `false`.
    ///
    /// A *shared* memory is fresh only for the first instance. Every later instance, one per
    /// thread, writes the module's active segments again, over whatever the program has
    /// stored there; an image replaces only the first write. So the host must install the
    /// image when it creates the memory, and must create later instances from the original
    /// module as specified, not from a stripped one.
    #[must_use]
    pub const fn with_zeroed_imports(mut self, promise: bool) -> Self {
        self.assume_zeroed_imports = promise;
        self
    }

    /// Sets how to handle the passive segments that wasm-ld's start function writes in
    /// threaded modules. Default: [`StartFunction::Unchanged`].
    #[must_use]
    pub const fn with_start_function(mut self, start_function: StartFunction) -> Self {
        self.start_function = start_function;
        self
    }

    /// Returns the page size that runs are aligned to.
    pub const fn page_size(&self) -> HostPageSize {
        self.page_size
    }

    /// Returns the widest gap in bytes across which runs are joined; `None` for a
    /// [single-run](Self::single_run) policy.
    pub const fn max_gap(&self) -> Option<u64> {
        match self.layout {
            Layout::Runs { max_gap, .. } => Some(max_gap),
            Layout::SingleRun { .. } => None,
        }
    }

    /// Returns the maximum number of runs per memory; `usize::MAX` means no limit.
    pub const fn max_runs(&self) -> usize {
        match self.layout {
            Layout::Runs { max_runs, .. } => max_runs,
            Layout::SingleRun { .. } => 1,
        }
    }

    /// Returns the span in bytes below which a [single-run](Self::single_run) policy ignores
    /// density; `None` for all other policies.
    pub const fn max_image_size_always_allowed(&self) -> Option<u64> {
        match self.layout {
            Layout::Runs { .. } => None,
            Layout::SingleRun {
                max_image_size_always_allowed,
            } => Some(max_image_size_always_allowed),
        }
    }

    /// Returns the maximum total size of a module's images, in bytes.
    pub const fn max_image_size(&self) -> u64 {
        self.max_image_size
    }

    /// Returns whether imported memories are promised to be fresh.
    pub const fn assumes_zeroed_imports(&self) -> bool {
        self.assume_zeroed_imports
    }

    /// Returns how wasm-ld's start function is handled.
    pub const fn start_function(&self) -> StartFunction {
        self.start_function
    }
}

/// Writes `host pages of 4096 bytes, runs joined across gaps of at most 65536 bytes, …`.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host pages of {} bytes", self.page_size.bytes())?;
        match self.layout {
            Layout::SingleRun {
                max_image_size_always_allowed,
            } => write!(
                f,
                ", one run per memory, dense or spanning less than {max_image_size_always_allowed} bytes"
            )?,
            Layout::Runs { max_gap, max_runs } => {
                write!(f, ", runs joined across gaps of at most {max_gap} bytes")?;
                if max_runs != usize::MAX {
                    write!(f, ", at most {max_runs} runs per memory")?;
                }
            }
        }
        if self.max_image_size != u64::MAX {
            write!(
                f,
                ", images of at most {} bytes per module",
                self.max_image_size
            )?;
        }
        if self.assume_zeroed_imports {
            f.write_str(", imported memories assumed to be zero")?;
        }
        Ok(())
    }
}

/// Serialises `max_runs` independently of the width of `usize`, and rejects 0.
#[cfg(feature = "serde")]
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
            Some(0) => Err(D::Error::custom("a policy with a maximum of 0 runs")),
            Some(n) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
            None => Ok(usize::MAX),
        }
    }
}

/// Returns [`Policy::balanced`] for pages of 4 KiB.
impl Default for Policy {
    fn default() -> Self {
        Self::balanced(HostPageSize::KIB_4)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn every_policy_has_a_default_limit_that_can_be_raised() {
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

    #[test]
    fn a_preset_has_the_settings_that_it_documents() {
        let page = HostPageSize::KIB_16;
        let reference = Policy::reference(page);
        assert_eq!(reference, Policy::single_run(page, 16 << 20));
        assert_eq!(reference.max_image_size_always_allowed(), Some(16 << 20));
        assert_eq!((reference.max_gap(), reference.max_runs()), (None, 1));
        let balanced = Policy::balanced(page);
        assert_eq!(
            (balanced.max_gap(), balanced.max_runs()),
            (Some(65_536), 1024)
        );
        assert_eq!(balanced.max_image_size_always_allowed(), None);
        assert_eq!(
            (balanced.page_size(), balanced.max_image_size()),
            (page, 1 << 30)
        );
        assert!(!balanced.assumes_zeroed_imports());
        assert!(balanced.with_zeroed_imports(true).assumes_zeroed_imports());
        let smallest = Policy::smallest(page);
        assert_eq!(
            (smallest.max_gap(), smallest.max_runs()),
            (Some(0), usize::MAX)
        );
        assert_eq!(smallest.with_max_runs(0).max_runs(), 1);
        assert_eq!(smallest.with_max_runs(7).max_runs(), 7);
        let runs = reference.with_max_runs(7);
        assert_eq!((runs.max_gap(), runs.max_runs()), (Some(0), 7));
        let runs = reference.with_max_gap(7);
        assert_eq!((runs.max_gap(), runs.max_runs()), (Some(7), usize::MAX));
        let stripped = balanced.with_start_function(StartFunction::WritesStripped);
        assert_eq!(stripped.start_function(), StartFunction::WritesStripped);
    }

    #[test]
    fn a_policy_is_described() {
        let reference = Policy::reference(HostPageSize::KIB_4).with_zeroed_imports(true);
        assert_eq!(
            reference.to_string(),
            "host pages of 4096 bytes, one run per memory, dense or spanning less than 16777216 \
             bytes, images of at most 1073741824 bytes per module, imported memories assumed to be zero"
        );
        let smallest = Policy::smallest(HostPageSize::KIB_4).with_max_image_size(u64::MAX);
        let text = "host pages of 4096 bytes, runs joined across gaps of at most 0 bytes";
        assert_eq!(smallest.to_string(), text);
        let few = smallest.with_max_runs(2).to_string();
        assert_eq!(few, format!("{text}, at most 2 runs per memory"));
    }
}
