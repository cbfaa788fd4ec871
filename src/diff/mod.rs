//! `diff`: what differs between the memories of two modules or artifacts.

mod facts;
pub(crate) mod json;
mod offsets;
mod order;
mod pages;
mod segments;
pub(crate) mod text;

use wasm_meminit::analysis::{Decision, ImportName, MemoryType};

use crate::contents::{Contents, MemoryContents};

use self::facts::Facts;
use self::pages::Pages;
use self::segments::Segments;

/// Everything that was compared.
#[derive(Debug)]
pub(crate) struct Diff<'c, 'a> {
    /// The names of both sides, as shown.
    pub(crate) names: [String; 2],
    pub(crate) modules: Vec<ModuleDiff<'c, 'a>>,
}

/// One core module on each side.
#[derive(Debug)]
pub(crate) struct ModuleDiff<'c, 'a> {
    /// Their numbers; `None` on the side that has no such module, or is an artifact.
    pub(crate) numbers: [Option<usize>; 2],
    /// Whether each side has such a module.
    pub(crate) exists: [bool; 2],
    /// The page size that pages are counted in: the smaller of both.
    pub(crate) page_size: u64,
    pub(crate) memories: Vec<MemoryDiff<'a>>,
    pub(crate) facts: Facts<'c>,
    pub(crate) segments: Segments<'c, 'a>,
}

/// One memory, with what each side has; `None` on the side that does not have it.
#[derive(Debug)]
pub(crate) struct MemoryDiff<'a> {
    pub(crate) index: u32,
    pub(crate) sides: [Option<MemorySide<'a>>; 2],
    pub(crate) pages: Pages,
}

/// What is compared of one memory, besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemorySide<'a> {
    pub(crate) ty: MemoryType,
    pub(crate) size: Option<u64>,
    pub(crate) is_imported: bool,
    /// The name that it is imported under; `None` also if a side is an artifact.
    pub(crate) import: Option<ImportName<'a>>,
    pub(crate) decision: Decision,
    pub(crate) image_bytes: u64,
    pub(crate) n_runs: u64,
    pub(crate) n_replayed: u64,
}

impl<'a> MemorySide<'a> {
    /// `by_artifact` says that one side is an artifact, which records neither that a segment of
    /// zeros is in its image nor the names of imports.
    fn new(memory: &MemoryContents<'a>, by_artifact: bool) -> Self {
        Self {
            ty: memory.ty,
            size: memory.size,
            is_imported: memory.is_imported,
            import: memory.import.filter(|_| !by_artifact),
            decision: match by_artifact {
                true => memory.recorded_decision(),
                false => memory.decision,
            },
            image_bytes: memory.image_bytes(),
            n_runs: memory.layout.len() as u64,
            n_replayed: memory.n_replayed,
        }
    }
}

impl<'c, 'a> ModuleDiff<'c, 'a> {
    /// Compares two core modules, one of which may be missing.
    pub(crate) fn new(
        numbers: [Option<usize>; 2],
        contents: [Option<&'c Contents<'a>>; 2],
    ) -> Self {
        let sizes = contents.iter().flatten().map(|it| it.page_size);
        let page_size = sizes.min().unwrap_or(1);
        // An artifact lists only the segments that it replays.
        let replayed_only = contents.iter().flatten().any(|it| it.is_artifact);
        let n_memories = contents.iter().flatten().map(|it| it.memories.len());
        let memories = (0..n_memories.max().unwrap_or(0))
            .map(|nth| {
                let both = contents.map(|it| it?.memories.get(nth));
                MemoryDiff {
                    index: u32::try_from(nth).unwrap_or(u32::MAX),
                    sides: both.map(|it| it.map(|it| MemorySide::new(it, replayed_only))),
                    pages: Pages::compare(both, page_size),
                }
            })
            .collect();
        Self {
            numbers,
            exists: contents.map(|it| it.is_some()),
            page_size,
            memories,
            facts: Facts::compare(contents),
            segments: Segments::compare(contents, replayed_only),
        }
    }

    fn is_equal(&self) -> bool {
        self.exists == [true; 2]
            && self.memories.iter().all(MemoryDiff::is_equal)
            && self.facts.are_equal()
            && self.segments.changes.is_empty()
    }
}

impl MemoryDiff<'_> {
    pub(crate) fn is_equal(&self) -> bool {
        self.sides[0] == self.sides[1] && self.pages.are_equal()
    }
}

impl Diff<'_, '_> {
    pub(crate) fn is_equal(&self) -> bool {
        self.modules.iter().all(ModuleDiff::is_equal)
    }
}
