//! Properties of the path under test, and the initial contents that tests of all paths
//! share.
#![allow(unused_imports, dead_code, reason = "each test uses a part of this")]

use core::time::Duration;
use std::io::Write as _;
use std::time::Instant;

use wasm_meminit_apply::{Call, Capabilities, ImageSource, Strategy};

pub(crate) use wasm_meminit_test_support::initial_contents::*;
use wasm_meminit_test_support::report;
use wasm_meminit_test_support::skips::skip_test;

/// The calls that are made to fail during the life of a slot.
pub(crate) const CALLS: [Call; 8] = [
    Call::Allocate,
    Call::Fstat,
    Call::Madvise,
    Call::Mmap,
    Call::Mprotect,
    Call::Munmap,
    Call::PagemapScan,
    Call::ProcessMadvise,
];

/// The file of `apply/src/sys/` under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Linux,
    Unix,
    Portable,
}

/// The same choice as in `apply/src/sys/mod.rs`.
pub(crate) const PATH: Path = if cfg!(any(
    not(unix),
    all(feature = "test-portable", not(feature = "test-unix"))
)) {
    Path::Portable
} else if cfg!(any(
    not(target_os = "linux"),
    all(feature = "test-unix", not(feature = "test-portable"))
)) {
    Path::Unix
} else {
    Path::Linux
};

/// The possible sources of images.
#[cfg(all(unix, not(all(feature = "test-portable", not(feature = "test-unix")))))]
pub(crate) const SOURCES: [ImageSource; 3] = [
    match PATH {
        Path::Unix => ImageSource::UnlinkedFile,
        _ => ImageSource::MemoryFile,
    },
    ImageSource::ArtifactFile,
    ImageSource::Heap,
];

/// The possible sources of images.
#[cfg(any(not(unix), all(feature = "test-portable", not(feature = "test-unix"))))]
pub(crate) const SOURCES: [ImageSource; 1] = [ImageSource::Heap];

/// The preferred source.
pub(crate) const BEST: ImageSource = SOURCES[0];

/// Whether an access outside a memory faults, so that tests can probe for it. Otherwise
/// memories are buffers of the allocator.
pub(crate) const HAS_GUARDS: bool = !matches!(PATH, Path::Portable);

/// Returns whether a reset with `strategy` may be done by `by` if no call fails.
pub(crate) fn done_by(strategy: Strategy, by: Strategy, bytes_are_none: bool) -> bool {
    match (PATH, strategy) {
        (_, Strategy::Auto) => by != Strategy::Auto,
        // As before Linux 6.7.
        (Path::Linux, Strategy::ScanAndCopy) if !Capabilities::get().scan.is_yes() => {
            by == Strategy::Discard || (bytes_are_none && by == strategy)
        }
        (Path::Linux, _) => by == strategy,
        // A memory without bytes has nothing to scan.
        (_, Strategy::ScanAndCopy) if by == strategy => bytes_are_none,
        // Written pages cannot be found, and pages of mappings cannot be discarded.
        (Path::Unix, Strategy::ScanAndCopy | Strategy::Discard) => by == Strategy::Remap,
        (Path::Portable, Strategy::ScanAndCopy) => by == Strategy::Discard,
        _ => by == strategy,
    }
}

/// Prints what this path does not have, so that it cannot be tested. Returns true, so that a
/// child can return it.
pub(crate) fn skip(what: &str) -> bool {
    let _ = writeln!(std::io::stderr(), "skipped on the path {PATH:?}: {what}");
    true
}

/// Skips what this machine lacks. Returns true, so that a child can return it.
#[track_caller]
pub(crate) fn lacks(what: &str) -> bool {
    skip_test(what);
    true
}

/// Skips a test that needs scans, which are only on one path, and not on every machine.
#[track_caller]
pub(crate) fn skips_without_scans() -> bool {
    match PATH {
        Path::Linux => !Capabilities::get().scan.is_yes() && lacks("this system has no scans"),
        _ => skip("without scans, no pages are kept, and resident ones cannot be found"),
    }
}

/// Returns how many page faults of this thread needed no input.
pub(crate) fn page_faults() -> u64 {
    report::page_faults().expect("Linux 3.17")
}

/// Waits until something is so.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    // Longer than any machine is busy with something else.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "never");
        std::thread::yield_now();
    }
}
