//! `dump --json`: bytes and their origins. `docs/schema/dump.schema.json` documents it.

use core::ops::Range;

use data_encoding::HEXLOWER;
use serde::Serialize;

use crate::contents::hex::Dump;
use crate::contents::{Bytes, Fate, MemoryContents, SegmentView};
use crate::report::decision;
use crate::report::file::FileFacts;
use crate::report::json::reason_word;
use crate::report::json_file::{self, File, TOOL, Tool};

/// The version of the format.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Document<'s> {
    format: u32,
    tool: Tool<'static>,
    file: File<'s>,
    memory: Memory,
    address: u64,
    length: u64,
    ranges: Vec<Part<'s>>,
    start_function: bool,
}

#[derive(Serialize)]
struct Memory {
    index: u32,
    imported: bool,
    bytes: Option<u64>,
    decision: &'static str,
    /// Replayed segments whose addresses are not known.
    unplaced: Counts,
}

#[derive(Serialize)]
struct Counts {
    segments: u64,
    bytes: u64,
}

/// A range of bytes with one origin.
#[derive(Serialize)]
struct Part<'s> {
    address: u64,
    length: u64,
    origin: &'static str,
    segment: Option<Segment<'s>>,
    reason: Option<String>,
    bytes: Option<String>,
}

#[derive(Serialize)]
struct Segment<'s> {
    index: u32,
    name: Option<&'s str>,
    /// Of the range, in the segment.
    offset: u64,
    length: u64,
}

impl<'s> Segment<'s> {
    fn new(it: &'s SegmentView<'_>, range: &Range<u64>) -> Self {
        Self {
            index: it.index,
            name: it.name,
            offset: range.start - it.addr.unwrap_or(range.start),
            length: it.len(),
        }
    }
}

/// Returns the document, with a newline at the end.
///
/// # Errors
///
/// None that input can cause; serde's interface requires one.
pub(crate) fn report(file: &FileFacts, dump: &Dump<'_, '_>) -> serde_json::Result<String> {
    let memory = dump.memory;
    let pieces = memory.sources(dump.range.clone());
    let ranges: serde_json::Result<_> = pieces
        .iter()
        .map(|(range, bytes)| part(dump, &range, *bytes))
        .collect();
    json_file::document(&Document {
        format: FORMAT,
        tool: TOOL,
        file: File::new(file),
        memory: Memory {
            index: dump.index,
            imported: memory.is_imported,
            bytes: memory.size,
            decision: decision::word(memory.decision),
            unplaced: Counts {
                segments: memory.n_unplaced,
                bytes: memory.unplaced_bytes,
            },
        },
        address: dump.range.start,
        length: dump.range.end - dump.range.start,
        ranges: ranges?,
        start_function: dump.contents.has_start != Some(false),
    })
}

fn part<'s>(
    dump: &'s Dump<'_, '_>,
    range: &Range<u64>,
    bytes: Bytes,
) -> serde_json::Result<Part<'s>> {
    let (origin, nth) = match bytes {
        Bytes::Zero => ("zero", None),
        Bytes::Host => ("host", None),
        Bytes::Run(_) => ("image", None),
        Bytes::Flag => ("flag", None),
        Bytes::Segment(nth) => ("segment", Some(nth)),
        Bytes::Replayed(nth) => ("replayed", Some(nth)),
    };
    let segment = nth.and_then(|nth| dump.contents.segments.get(nth));
    let reason = match segment.map(|it| it.fate) {
        Some(Fate::Replayed(Some(reason))) => Some(reason_word(&reason)?),
        _ => None,
    };
    // Zeros of a large memory are not repeated.
    let is_shown = bytes.are_known() && bytes != Bytes::Zero;
    Ok(Part {
        address: range.start,
        length: range.end - range.start,
        origin,
        segment: segment.map(|it| Segment::new(it, range)),
        reason,
        bytes: is_shown.then(|| digits(dump.memory, range)),
    })
}

/// Returns the bytes as hexadecimal digits. A range that is shown is as long as its segment or
/// run at most, and so in memory already.
fn digits(memory: &MemoryContents<'_>, range: &Range<u64>) -> String {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    memory.read(range.start, &mut bytes);
    HEXLOWER.encode(&bytes)
}
