//! `inspect --segments`: every data segment of a module, and what becomes of it.

use alloc::collections::BTreeMap;

use unicode_width::UnicodeWidthStr;
use wasm_meminit::analysis::{DataIndex, Reason, SegmentMode, SegmentReason};

use crate::report::module::ModuleSurvey;
use crate::report::reasons;
use crate::text::terminal::{BOLD, DIM, Look, paint, right};
use crate::text::units::{counted, grouped};

/// The most segments of one file that the text lists. JSON lists all.
pub(crate) const MAX_ROWS: usize = 10_000;

/// One segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentRow<'a> {
    pub(crate) index: u32,
    /// From the name section.
    pub(crate) name: Option<&'a str>,
    pub(crate) is_active: bool,
    /// The memory that it is written to, if that is known.
    pub(crate) memory: Option<u32>,
    /// The address of its first byte, if that is known.
    pub(crate) address: Option<u64>,
    pub(crate) len: u64,
    /// Where its bytes are in the file. For text, in the binary made from it.
    pub(crate) file_offset: Option<u64>,
    pub(crate) fate: Fate,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is in the image.
    Baked,
    /// It is in the image, on behalf of the start function.
    BakedForStart,
    /// The host writes it at each start, for this reason.
    Replayed(Reason),
    /// The start function copies it.
    LeftToStart,
    /// It is left to the program.
    Passive,
}

impl Fate {
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Baked => "baked",
            Self::BakedForStart => "baked_for_start_function",
            Self::Replayed(_) => "replayed",
            Self::LeftToStart => "left_to_start_function",
            Self::Passive => "passive",
        }
    }
}

/// Returns the segments of a module in the order of their indices. `file` contains the module.
pub(crate) fn rows<'a>(survey: &ModuleSurvey<'a>, file: &'a [u8]) -> Vec<SegmentRow<'a>> {
    let names: BTreeMap<DataIndex, &str> = survey.module.segment_names().collect();
    let reasons: BTreeMap<DataIndex, &SegmentReason> =
        survey.reasons.iter().map(|it| (it.segment, it)).collect();
    let start = survey.start.as_ref();
    let is_left = start.is_some_and(|it| it.why_not.is_some());
    let init = start.and_then(|it| it.init.as_ref().ok());
    let copied: BTreeMap<DataIndex, u64> = init
        .map(|it| it.writes().iter().copied().collect())
        .unwrap_or_default();
    let row = |(index, segment): (DataIndex, &wasm_meminit::analysis::Segment<'a>)| {
        let why = reasons.get(&index).map(|it| it.reason);
        let (memory, address, fate) = match (&segment.mode, copied.get(&index)) {
            (
                SegmentMode::Active {
                    memory_index,
                    offset,
                },
                _,
            ) => {
                let memory = survey.module.memories().get(*memory_index);
                let address = memory.and_then(|it| {
                    let value = |global| survey.module.global_value(global);
                    offset.eval(it.ty.index_type, &value).ok()
                });
                let fate = why.map_or(Fate::Baked, Fate::Replayed);
                (Some(memory_index.as_u32()), address, fate)
            }
            (SegmentMode::Passive, Some(&address)) => {
                let fate = match is_left {
                    true => Fate::LeftToStart,
                    false => Fate::BakedForStart,
                };
                let memory = init.map(|it| it.memory().as_u32());
                (memory, Some(address), fate)
            }
            (SegmentMode::Passive, None) => (None, None, Fate::Passive),
        };
        SegmentRow {
            index: index.as_u32(),
            name: names.get(&index).copied(),
            is_active: matches!(segment.mode, SegmentMode::Active { .. }),
            memory,
            address,
            len: segment.data.len() as u64,
            file_offset: offset_within(file, segment.data),
            fate,
        }
    };
    survey.module.segments().iter().map(row).collect()
}

/// Returns where `part` is in `file`, or `None` if it is not a part of it.
fn offset_within(file: &[u8], part: &[u8]) -> Option<u64> {
    let offset = part.as_ptr().addr().checked_sub(file.as_ptr().addr())?;
    let end = offset.checked_add(part.len())?;
    (end <= file.len()).then_some(offset as u64)
}

/// Writes the segments of a module as a table, at most `n_left` of them, and subtracts those.
pub(crate) fn text(
    out: &mut String,
    survey: &ModuleSurvey<'_>,
    file: &[u8],
    n_left: &mut usize,
    look: Look,
) {
    let rows = rows(survey, file);
    if rows.is_empty() {
        return;
    }
    let shown = &rows[..rows.len().min(*n_left)];
    *n_left -= shown.len();
    out.push_str(&format!("\n{}\n", paint(BOLD, "Segments")));
    let nothing = || look.either("–", "-").to_owned();
    let hex = |number: Option<u64>| number.map_or_else(nothing, |it| format!("{it:#x}"));
    let cells = |it: &SegmentRow<'_>| -> [String; 8] {
        [
            it.index.to_string(),
            it.name.map_or_else(nothing, |name| look.name(name)),
            if it.is_active { "active" } else { "passive" }.to_owned(),
            it.memory.map_or_else(nothing, |it| it.to_string()),
            hex(it.address),
            grouped(it.len),
            hex(it.file_offset),
            fate(survey, it, look),
        ]
    };
    let titles = [
        "index", "name", "mode", "memory", "address", "bytes", "in file", "fate",
    ];
    let mut table = vec![titles.map(str::to_owned)];
    table.extend(shown.iter().map(cells));
    let widths: [usize; 8] = core::array::from_fn(|column| {
        let cells = table.iter().map(|row| row[column].width());
        cells.max().unwrap_or(0)
    });
    for (nth, row) in table.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            // Words begin, and numbers end, at the same place. The last cell is not padded.
            let text = match column {
                7 => cell.clone(),
                1 | 2 => format!("{cell}{}", " ".repeat(widths[column] - cell.width())),
                _ => right(cell, widths[column]),
            };
            line.push_str(&format!("  {text}"));
        }
        let style = if nth == 0 { DIM } else { anstyle::Style::new() };
        out.push_str(&format!("{}\n", paint(style, line)));
    }
    if shown.len() < rows.len() {
        let more = counted((rows.len() - shown.len()) as u64, "segment");
        out.push_str(&format!("  and {more} more: see --json\n"));
    }
}

/// Returns what becomes of a segment, and why.
fn fate(survey: &ModuleSurvey<'_>, row: &SegmentRow<'_>, look: Look) -> String {
    match row.fate {
        Fate::Baked => "in the image".to_owned(),
        Fate::BakedForStart => "in the image, for the start function".to_owned(),
        Fate::Replayed(reason) => {
            let memory = row
                .memory
                .map(wasm_meminit::analysis::MemoryIndex::from_u32);
            let why = reasons::why(&reason, memory, &survey.module, look);
            format!("replayed: {why}")
        }
        Fate::LeftToStart => "left to the start function".to_owned(),
        Fate::Passive => "passive".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_parts() {
        let file = b"0123456789";
        assert_eq!(offset_within(file, &file[3..5]), Some(3));
        assert_eq!(offset_within(file, &file[10..]), Some(10));
        assert_eq!(offset_within(&file[..5], &file[4..6]), None);
        assert_eq!(offset_within(&file[5..], &file[..1]), None);
    }
}
