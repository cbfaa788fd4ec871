//! What the path under test offers, and the first states that all paths share.
#![allow(unused_imports, dead_code, reason = "each test takes what it needs")]

use std::io::Write as _;

use wasm_meminit_apply::{ImageSource, Strategy};

pub(crate) use wasm_meminit_test_support::initial_contents::*;

/// A file of `apply/src/sys/` that is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Linux,
    Unix,
    Portable,
}

/// The same choice as in `apply/src/sys/mod.rs`.
pub(crate) const PATH: Path = if cfg!(all(feature = "test-portable", not(feature = "test-unix"))) {
    Path::Portable
} else if cfg!(all(feature = "test-unix", not(feature = "test-portable"))) {
    Path::Unix
} else {
    Path::Linux
};

/// Where images can be.
#[cfg(not(all(feature = "test-portable", not(feature = "test-unix"))))]
pub(crate) const SOURCES: [ImageSource; 3] = [
    match PATH {
        Path::Unix => ImageSource::UnlinkedFile,
        _ => ImageSource::MemoryFile,
    },
    ImageSource::ArtifactFile,
    ImageSource::Heap,
];

/// Where images can be.
#[cfg(all(feature = "test-portable", not(feature = "test-unix")))]
pub(crate) const SOURCES: [ImageSource; 1] = [ImageSource::Heap];

/// The best of them.
pub(crate) const BEST: ImageSource = SOURCES[0];

/// Whether an access outside of a memory faults, so that it can be looked for. Otherwise
/// memories are buffers of the allocator.
pub(crate) const HAS_GUARDS: bool = !matches!(PATH, Path::Portable);

/// What a reset by a strategy may be done by, where no call fails.
pub(crate) fn done_by(strategy: Strategy, by: Strategy, bytes_are_none: bool) -> bool {
    match (PATH, strategy) {
        (_, Strategy::Auto) => by != Strategy::Auto,
        (Path::Linux, _) => by == strategy,
        // A memory without bytes has nothing to be looked for.
        (_, Strategy::ScanAndCopy) if by == strategy => bytes_are_none,
        // Nothing finds written pages; pages of mappings cannot be discarded.
        (Path::Unix, Strategy::ScanAndCopy | Strategy::Drop) => by == Strategy::Remap,
        (Path::Portable, Strategy::ScanAndCopy) => by == Strategy::Drop,
        _ => by == strategy,
    }
}

/// Says what is not tested here, and why. True, so that it can end a child's part.
pub(crate) fn skip(what: &str) -> bool {
    let _ = writeln!(std::io::stderr(), "skipped on the path {PATH:?}: {what}");
    true
}
