//! What `pack` makes small, and what it may do for that.

use wasm_meminit_analysis::limits::MAX_DATA_SEGMENTS;

/// What [`pack`](super::pack()) makes small.
///
/// Bytes and starts pull in opposite directions. Cutting a stretch of zeros out of a
/// segment saves those zeros in the file, but a compressor had already removed them: a
/// run of a thousand zeros takes about 6 compressed bytes, and so does the header of a
/// new segment. Each segment also costs time at every start, and zeros left out make the data sparser, which can cost a module the image
/// that an engine would have made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PackFor {
    /// A module that is better in one respect and worse in none: the default.
    ///
    /// The file is larger neither raw nor compressed, no more than 1,000 segments are
    /// made of fewer, and an engine that makes an image of the memory still does.
    #[default]
    Balanced,
    /// The fewest raw bytes, whatever that does to the number of segments.
    Size,
    /// The fewest bytes after DEFLATE, the compression of gzip, zlib and PNG; brotli and
    /// zstd rank modules the same way. The raw data may grow, to at most twice its size.
    Compressed,
    /// The cheapest start: few segments, and dense enough for an engine's image. The
    /// raw data may grow, to at most twice its size.
    Start,
}

/// How [`pack`](super::pack()) packs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct PackOptions {
    objective: PackFor,
    max_segments: Option<usize>,
    assume_zeroed_imports: bool,
}

/// Without a limit from the caller, more segments than this are made only where fewer
/// would make the module larger.
pub(super) const SOFT_LIMIT: usize = 10_000;

/// [`PackFor::Balanced`] makes no more segments than this of fewer.
pub(super) const BALANCED_LIMIT: usize = 1_000;

impl PackOptions {
    /// Sets what is made small.
    pub const fn with_objective(mut self, objective: PackFor) -> Self {
        self.objective = objective;
        self
    }

    /// Limits the data segments of the module.
    ///
    /// Above the limit, the cheapest gaps are filled with zeros, even where that makes
    /// the module larger; the data grows to at most twice its size. 0 asks for as few
    /// as that allows. Passive segments, and active ones without a certain address,
    /// count and stay. Engines accept at most [`MAX_DATA_SEGMENTS`].
    ///
    /// Default: 10,000, as far as the module gets no larger.
    pub const fn with_max_segments(mut self, max_segments: usize) -> Self {
        self.max_segments = Some(if max_segments < MAX_DATA_SEGMENTS {
            max_segments
        } else {
            MAX_DATA_SEGMENTS
        });
        self
    }

    /// Promises that imported memories are fresh, as
    /// [`Policy::assume_zeroed_imports`](wasm_meminit_analysis::Policy::assume_zeroed_imports)
    /// does; without the promise their zeros stay.
    ///
    /// Segments of shared imported memories stay as they are, promise or not: each
    /// thread's instance applies them again, to a memory in use.
    pub const fn assume_zeroed_imports(mut self, promise: bool) -> Self {
        self.assume_zeroed_imports = promise;
        self
    }

    /// What is made small.
    pub const fn objective(&self) -> PackFor {
        self.objective
    }

    pub(super) const fn promises_zeroed_imports(&self) -> bool {
        self.assume_zeroed_imports
    }

    /// Whether the caller limits the segments to fewer than `n_before`.
    pub(super) fn is_limit_below(&self, n_before: usize) -> bool {
        self.max_segments.is_some_and(|limit| limit < n_before)
    }

    /// How many segments the module may have, and by how much its data may grow for
    /// that: `true` for up to twice its size.
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
