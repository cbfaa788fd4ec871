//! What decisions and reasons mean, in one sentence each of the guide.

use wasm_meminit::analysis::{Decision, Reason};

use crate::report::decision;

/// Where the files of this repository are.
const REPOSITORY: &str = "https://github.com/wasm-meminit/wasm-meminit/blob/main";

/// A word of a report, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Meaning {
    pub(crate) word: &'static str,
    /// A sentence of the guide (`tests/guide/meanings.rs`).
    pub(crate) sentence: &'static str,
    /// Page and heading of the guide.
    page: &'static str,
    anchor: &'static str,
}

impl Meaning {
    const fn new(word: &'static str, sentence: &'static str, anchor: &'static str) -> Self {
        let page = "not-static.md";
        Self {
            word,
            sentence,
            page,
            anchor,
        }
    }

    /// Returns the address of the text that says more.
    pub(crate) fn link(&self) -> String {
        format!("{REPOSITORY}/docs/{}#{}", self.page, self.anchor)
    }

    pub(crate) const fn of_decision(it: Decision) -> Self {
        let sentence = match it {
            Decision::None => {
                "No active segment writes to it, and no data of a start function is in an image."
            }
            Decision::Static => "Every segment is in the image. A start replays nothing.",
            Decision::Hybrid => {
                "Some segments are in the image; the others are replayed at each start, over the image."
            }
            Decision::Segmented => "Every segment is replayed, as in an engine without images.",
        };
        Self::new(decision::word(it), sentence, "decisions")
    }

    /// Returns `None` for a reason that this version does not know.
    pub(crate) const fn of_reason(it: &Reason) -> Option<Self> {
        const REFERENCE: &str = "all_or_nothing-not_a_constant-too_sparse-page_size";
        const LIMITS: &str = "size_limit-module_size_limit-too_large";
        const LIMIT: &str = "The images together may have 1 GiB by default, so that a few bytes far apart in a hostile module cannot fill a disk.";
        Some(match it {
            Reason::ImportedMemory => Self::new(
                "imported_memory",
                "The module does not create its memory, so the memory may hold anything before the first segment is written.",
                "imported_memory",
            ),
            Reason::DynamicOffset { .. } => Self::new(
                "dynamic_offset",
                "The address is an imported global, or an expression with one.",
                "dynamic_offset",
            ),
            Reason::OutOfBounds { .. } => Self::new(
                "out_of_bounds",
                "The segment ends past the declared minimum of its memory.",
                "out_of_bounds",
            ),
            Reason::AfterBarrier { .. } => Self::new(
                "after_barrier",
                "An earlier segment may trap: its address is not known, or it is out of bounds in an imported memory.",
                "after_barrier",
            ),
            Reason::AlwaysTraps { .. } => Self::new(
                "always_traps",
                "Each instantiation traps at the same segment.",
                "always_traps",
            ),
            Reason::AllOrNothing { .. } => Self::new(
                "all_or_nothing",
                "Another segment of the module is not static, and --policy reference bakes all segments of a module or none.",
                REFERENCE,
            ),
            Reason::NotAConstant => Self::new(
                "not_a_constant",
                "The address is computed from several constants, and --policy reference accepts only a single one.",
                REFERENCE,
            ),
            Reason::TooSparse { .. } => Self::new(
                "too_sparse",
                "The data is spread over so many addresses that --policy reference makes no image of it.",
                REFERENCE,
            ),
            Reason::PageSize { .. } => Self::new(
                "page_size",
                "The wasm pages are smaller than a host page, for which --policy reference makes no image.",
                REFERENCE,
            ),
            Reason::SizeLimit { .. } => Self::new("size_limit", LIMIT, LIMITS),
            Reason::ModuleSizeLimit { .. } => Self::new("module_size_limit", LIMIT, LIMITS),
            Reason::TooLarge => Self::new(
                "too_large",
                "too_large is about 64-bit memories of 2⁶⁴ bytes, which no machine has.",
                LIMITS,
            ),
            Reason::Passive => Self::new(
                "passive",
                "The program copies the segment itself, with memory.init, when it wants to.",
                "passive",
            ),
            _ => return None,
        })
    }

    /// The data of a start function that is in no image.
    pub(crate) const fn of_start_function() -> Self {
        Self {
            word: "start function",
            sentence: "If the data is still in no image, the report says why.",
            page: "threads.md",
            anchor: "reasons",
        }
    }
}
