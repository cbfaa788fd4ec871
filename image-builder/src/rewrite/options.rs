//! The objectives and options of `pack`.

use wasm_meminit_analysis::limits::MAX_DATA_SEGMENTS;

/// The objective of [`pack`](super::pack()).
///
/// Size and startup time conflict. Splitting a segment at a range of zeros saves those zeros
/// in the file, but not in the compressed file: a thousand zeros compress to about 6 bytes,
/// as does the header of a new segment. Each segment also takes time at every instantiation.
/// And omitting zeros makes the data sparser, so that an engine may no longer create an image
/// of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PackFor {
    /// The default: better in at least one respect, and worse in none.
    ///
    /// The file does not grow, raw or compressed; the number of segments does not grow beyond
    /// 1,000; and an engine that creates an image of the memory still does.
    #[default]
    Balanced,
    /// The smallest raw size, regardless of the number of segments.
    Size,
    /// The smallest size after compression with DEFLATE, as used by gzip, zlib and PNG;
    /// brotli and zstd rank modules the same way. The raw data may grow to at most twice its
    /// size.
    Compressed,
    /// The fastest instantiation: few segments, dense enough for an engine's image. The raw
    /// data may grow to at most twice its size.
    Start,
}

impl PackFor {
    /// All objectives, the default one first.
    pub const ALL: &'static [Self] = &[Self::Balanced, Self::Size, Self::Compressed, Self::Start];
}

/// Options of [`pack`](super::pack()).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct PackOptions {
    objective: PackFor,
    max_segments: Option<usize>,
    assume_zeroed_imports: bool,
}

/// Unless the caller sets a limit, more segments than this are used only if fewer would make
/// the module larger.
pub(super) const SOFT_LIMIT: usize = 10_000;

/// [`PackFor::Balanced`] does not increase the number of segments beyond this.
pub(super) const BALANCED_LIMIT: usize = 1_000;

impl PackOptions {
    /// Sets the objective. Default: [`PackFor::Balanced`].
    pub const fn with_objective(mut self, objective: PackFor) -> Self {
        self.objective = objective;
        self
    }

    /// Limits the number of data segments of the module.
    ///
    /// Above the limit, the cheapest gaps are filled with zeros, even if that makes the module
    /// larger; the data grows to at most twice its size. 0 requests as few segments as that
    /// allows. Passive segments, and active ones without a known address, count towards the
    /// limit but are not changed. Engines accept at most [`MAX_DATA_SEGMENTS`].
    ///
    /// Default: 10,000, unless that would make the module larger.
    pub const fn with_max_segments(mut self, max_segments: usize) -> Self {
        self.max_segments = Some(if max_segments < MAX_DATA_SEGMENTS {
            max_segments
        } else {
            MAX_DATA_SEGMENTS
        });
        self
    }

    /// Promises that imported memories are fresh, as
    /// [`Policy::with_zeroed_imports`](wasm_meminit_analysis::Policy::with_zeroed_imports)
    /// does. Without this promise, their zeros are kept. Default: `false`.
    ///
    /// Segments of shared imported memories are never changed, because each thread's instance
    /// applies them again, to a memory in use.
    pub const fn with_zeroed_imports(mut self, promise: bool) -> Self {
        self.assume_zeroed_imports = promise;
        self
    }

    /// Returns the objective.
    pub(super) const fn objective(&self) -> PackFor {
        self.objective
    }

    pub(super) const fn promises_zeroed_imports(&self) -> bool {
        self.assume_zeroed_imports
    }

    /// Returns whether the caller limits the segments to fewer than `n_before`.
    pub(super) fn is_limit_below(&self, n_before: usize) -> bool {
        self.max_segments.is_some_and(|limit| limit < n_before)
    }

    /// Returns how many segments the module may have, and whether its data may grow to twice
    /// its size to reach that number.
    pub(super) fn limit(&self, n_before: usize) -> (usize, bool) {
        match (self.max_segments, self.objective) {
            (Some(limit), PackFor::Balanced) if n_before <= limit => {
                (limit.min(n_before.max(BALANCED_LIMIT)), false)
            }
            (Some(limit), _) => (limit, true),
            (None, PackFor::Balanced) => (n_before.max(BALANCED_LIMIT), false),
            (None, _) => (SOFT_LIMIT, false),
        }
    }
}
