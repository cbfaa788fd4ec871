//! `diff --json`: the differences in a versioned format, documented in `docs/diff-json.md`.

use core::ops::Range;

use serde::Serialize;

use super::facts::Facts;
use super::segments::{Change, Difference};
use super::{Diff, MemoryDiff, MemorySide, ModuleDiff};
use crate::contents::offset::shown;
use crate::contents::{Fate, SegmentView};
use crate::report::decision::word;
use crate::text::printable;

const FORMAT: u32 = 1;

/// How many segments are listed for one file: a report stays small.
const MAX_SEGMENTS: usize = 1000;

/// How many assumptions are listed for one side of a core module.
const MAX_ASSUMPTIONS: usize = 100;

/// How many memories are listed for one file.
const MAX_MEMORIES: usize = 1000;

#[derive(Serialize)]
struct Document<'s> {
    format: u32,
    a: &'s str,
    b: &'s str,
    equal: bool,
    modules: Vec<Module<'s>>,
}

#[derive(Serialize)]
struct Module<'s> {
    a: Option<usize>,
    b: Option<usize>,
    equal: bool,
    page_size: u64,
    memories: Vec<Memory>,
    omitted_memories: usize,
    assumptions: Assumptions,
    elements_may_trap: Both<Option<bool>>,
    start_function: Both<Option<String>>,
    equal_segments: u64,
    changed_segments: u64,
    segments: Vec<Pair<'s>>,
}

/// Those of one side only.
#[derive(Serialize)]
struct Assumptions {
    only_a: Vec<String>,
    only_b: Vec<String>,
}

#[derive(Serialize)]
struct Both<T> {
    a: T,
    b: T,
}

#[derive(Serialize)]
struct Memory {
    index: u32,
    equal: bool,
    a: Option<Side>,
    b: Option<Side>,
    pages: Pages,
    bytes_equal: bool,
}

#[derive(Serialize)]
struct Side {
    bytes: Option<u64>,
    imported: bool,
    import: Option<String>,
    shared: bool,
    decision: &'static str,
    image_bytes: u64,
    runs: u64,
    replayed: u64,
}

#[derive(Serialize)]
struct Pages {
    equal: u64,
    changed: u64,
    only_a: u64,
    only_b: u64,
    different: Vec<Part>,
    different_ranges: u64,
}

/// A range of addresses.
#[derive(Serialize)]
struct Part {
    address: u64,
    length: u64,
}

#[derive(Serialize)]
struct Pair<'s> {
    a: Option<Segment<'s>>,
    b: Option<Segment<'s>>,
    changes: Vec<&'static str>,
}

#[derive(Serialize)]
struct Segment<'s> {
    index: u32,
    name: Option<&'s str>,
    memory: Option<u32>,
    addr: Option<u64>,
    offset: Option<String>,
    len: u64,
    fate: &'static str,
    reason: Option<String>,
}

/// Returns the document, with a newline at the end.
///
/// # Errors
///
/// Never: all of these types can be serialised.
pub(crate) fn report(diff: &Diff<'_, '_>) -> serde_json::Result<String> {
    let mut room = Room {
        memories: MAX_MEMORIES,
        segments: MAX_SEGMENTS,
    };
    let [a, b] = &diff.names;
    let document = Document {
        format: FORMAT,
        a,
        b,
        equal: diff.is_equal(),
        modules: diff
            .modules
            .iter()
            .map(|it| module(it, &mut room))
            .collect(),
    };
    let mut text = printable::json(serde_json::to_string_pretty(&document)?);
    text.push('\n');
    Ok(text)
}

/// How many more may be listed.
struct Room {
    memories: usize,
    segments: usize,
}

fn module<'s>(it: &'s ModuleDiff<'_, '_>, room: &mut Room) -> Module<'s> {
    let n_listed = it.memories.len().min(room.memories);
    room.memories -= n_listed;
    let changes = &it.segments.changes;
    let n_segments = changes.len().min(room.segments);
    room.segments -= n_segments;
    Module {
        a: it.numbers[0],
        b: it.numbers[1],
        equal: it.is_equal(),
        page_size: it.page_size,
        memories: it.memories.iter().take(n_listed).map(memory).collect(),
        omitted_memories: it.memories.len() - n_listed,
        assumptions: assumptions(&it.facts),
        elements_may_trap: both(it.facts.elements_may_trap),
        start_function: both(start_functions(it)),
        equal_segments: it.segments.n_equal,
        changed_segments: changes.len() as u64,
        segments: changes.iter().take(n_segments).map(pair).collect(),
    }
}

fn assumptions(it: &Facts<'_>) -> Assumptions {
    let [only_a, only_b] = it.assumptions.each_ref().map(|list| {
        let list = list.iter().take(MAX_ASSUMPTIONS);
        list.map(ToString::to_string).collect()
    });
    Assumptions { only_a, only_b }
}

fn start_functions(it: &ModuleDiff<'_, '_>) -> [Option<String>; 2] {
    let [a, b] = it.facts.start_texts();
    [it.exists[0].then_some(a), it.exists[1].then_some(b)]
}

fn both<T>([a, b]: [T; 2]) -> Both<T> {
    Both { a, b }
}

fn memory(it: &MemoryDiff<'_>) -> Memory {
    let [a, b] = it.sides.map(|side| side.map(self::side));
    Memory {
        index: it.index,
        equal: it.is_equal(),
        a,
        b,
        pages: Pages {
            equal: it.pages.equal,
            changed: it.pages.changed,
            only_a: it.pages.only[0],
            only_b: it.pages.only[1],
            different: it.pages.different.iter().map(part).collect(),
            different_ranges: it.pages.n_different,
        },
        bytes_equal: it.pages.read_equal(),
    }
}

fn part(it: &Range<u64>) -> Part {
    Part {
        address: it.start,
        length: it.end - it.start,
    }
}

fn side(it: MemorySide<'_>) -> Side {
    Side {
        bytes: it.size,
        imported: it.is_imported,
        import: it.import.map(shown),
        shared: it.ty.shared,
        decision: word(it.decision),
        image_bytes: it.image_bytes,
        runs: it.n_runs,
        replayed: it.n_replayed,
    }
}

fn pair<'s>(change: &'s Change<'_, '_>) -> Pair<'s> {
    let segment = |side: usize| Some(segment(change.sides[side]?, change.offset(side)));
    let [a, b] = [0, 1].map(segment);
    let changes = match (&a, &b) {
        (Some(_), None) => vec!["removed"],
        (None, _) => vec!["added"],
        _ => change.differences().iter().map(word_of).collect(),
    };
    Pair { a, b, changes }
}

fn segment<'s>(it: &'s SegmentView<'_>, offset: Option<String>) -> Segment<'s> {
    let (fate, reason) = match it.fate {
        Fate::Static => ("static", None),
        Fate::Copied => ("start_function", None),
        Fate::Replayed(reason) => ("replayed", reason),
        Fate::Passive => ("passive", None),
    };
    Segment {
        index: it.index,
        name: it.name,
        memory: it.memory,
        addr: it.addr,
        offset,
        len: it.len(),
        fate,
        reason: reason.map(|it| it.to_string()),
    }
}

const fn word_of(it: &Difference) -> &'static str {
    match it {
        Difference::Memory(_) => "memory",
        Difference::Moved => "moved",
        Difference::Len([a, b]) if *a < *b => "grew",
        Difference::Len(_) => "shrank",
        Difference::Bytes => "bytes",
        Difference::NoLongerStatic(_) => "no_longer_static",
        Difference::NowStatic => "now_static",
        Difference::Order => "order",
        Difference::Fate => "fate",
    }
}
