//! What differs between two core modules apart from bytes: what their images rely on, and what runs
//! before and after data is written.

use std::collections::HashSet;

use wasm_meminit::analysis::{Assumption, GlobalIndex};

use crate::contents::{Contents, KnownStart};
use crate::text::units::counted;

/// What differs apart from memories and segments.
#[derive(Debug)]
pub(crate) struct Facts<'c> {
    /// The assumptions of one side only.
    pub(crate) assumptions: [Vec<&'c Assumption>; 2],
    /// Whether an element segment may trap; `None` on the side that has no such module.
    pub(crate) elements_may_trap: [Option<bool>; 2],
    pub(crate) starts: [Start; 2],
}

/// The start function of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// Whether one runs after the data is written; `None` if that is not recorded.
    pub(crate) runs: Option<bool>,
    /// What it does, as far as both sides can say.
    pub(crate) known: Option<KnownStart>,
}

impl<'c> Facts<'c> {
    pub(super) fn compare(sides: [Option<&'c Contents<'_>>; 2]) -> Self {
        let by_artifact = sides.iter().flatten().any(|it| it.is_artifact);
        let lists = sides.map(|it| it.map_or(&[][..], |it| &it.assumptions));
        let keys = lists.map(|it| it.iter().map(|it| key(it, by_artifact)).collect());
        let keys: [HashSet<Assumption>; 2] = keys;
        let only = |side: usize| {
            let list = lists[side].iter();
            let is_only = |it: &&Assumption| !keys[1 - side].contains(&key(it, by_artifact));
            list.filter(is_only).collect()
        };
        let mut starts =
            sides.map(|it| it.map_or_else(Start::default, |it| start(it, by_artifact)));
        if starts.iter().any(|it| it.runs.is_none()) {
            starts.iter_mut().for_each(|it| it.runs = None);
        }
        Self {
            assumptions: [0, 1].map(only),
            elements_may_trap: sides.map(|it| it.map(|it| it.elements_may_trap)),
            starts,
        }
    }

    pub(crate) fn are_equal(&self) -> bool {
        self.assumptions.iter().all(Vec::is_empty)
            && self.elements_may_trap[0] == self.elements_may_trap[1]
            && self.starts[0] == self.starts[1]
    }

    /// Describes the start function of each side on one line.
    pub(crate) fn start_texts(&self) -> [String; 2] {
        [0, 1].map(|side| self.starts[side].text(&self.starts[1 - side]))
    }
}

/// Returns what tells an assumption apart. Imports of two modules are told apart by their names,
/// because indices may have shifted.
fn key(it: &Assumption, by_artifact: bool) -> Assumption {
    let mut it = it.clone();
    if let (Assumption::GlobalValue { global, .. }, false) = (&mut it, by_artifact) {
        *global = GlobalIndex::from_u32(0);
    }
    it
}

/// `by_artifact` says that one side is an artifact, which records a start function only if its
/// writes are in an image.
fn start(contents: &Contents<'_>, by_artifact: bool) -> Start {
    let known = contents
        .start
        .clone()
        .filter(|it| it.is_baked || !by_artifact);
    Start {
        runs: contents.has_start,
        known: known.map(|it| KnownStart {
            zeroed: if by_artifact { Vec::new() } else { it.zeroed },
            ..it
        }),
    }
}

impl Start {
    /// Describes it on one line, with what distinguishes it from the other side's.
    fn text(&self, other: &Self) -> String {
        let Some(known) = &self.known else {
            return match self.runs {
                Some(true) => "runs after the data is written",
                Some(false) => "none",
                None => "none in an image",
            }
            .to_owned();
        };
        let is_baked = match known.is_baked {
            true => "in the image",
            false => "not in an image",
        };
        let mut text = format!(
            "{is_baked}, flag at {:#x} of memory {}",
            known.flag, known.memory
        );
        if let Some(it) = known.thread_local {
            let global = it.global.as_u32();
            text.push_str(&format!(
                ", thread-local storage at {:#x} in global {global}",
                it.addr
            ));
        }
        let zeroed = &known.zeroed;
        let others = other.known.as_ref().map_or(&[][..], |it| &it.zeroed);
        // The first that differs, or else the first.
        let mut all = 0..zeroed.len().max(others.len());
        let nth = all.find(|nth| zeroed.get(*nth) != others.get(*nth));
        if let Some(it) = zeroed.get(nth.unwrap_or(0)) {
            text.push_str(&format!(", zeros from {:#x} to {:#x}", it.start, it.end));
        } else if !zeroed.is_empty() {
            let n = counted(zeroed.len() as u64, "range");
            text.push_str(&format!(", {n} of zeros"));
        }
        text
    }
}
