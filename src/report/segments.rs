//! `inspect --segments`: every data segment of a module, and what becomes of it.

use alloc::collections::BTreeMap;

use unicode_width::UnicodeWidthStr;
use wasm_meminit::analysis::{MemoryIndex, StartInit};

use crate::contents::segment;
use crate::contents::{Fate, SegmentView};
use crate::report::module::ModuleSurvey;
use crate::report::reasons;
use crate::text::terminal::{BOLD, DIM, Look, paint, right};
use crate::text::units::{counted, grouped};

/// The most segments of one file that the text lists. JSON lists all.
pub(crate) const MAX_ROWS: usize = 10_000;

/// One segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentRow<'a> {
    /// With its place also if the start function copies it.
    pub(crate) segment: SegmentView<'a>,
    /// Where its bytes are in the file. For text, in the binary made from it.
    pub(crate) file_offset: Option<u64>,
    /// Whether the start function still copies it.
    is_left_to_start: bool,
}

impl SegmentRow<'_> {
    pub(crate) const fn mode(&self) -> &'static str {
        match self.segment.fate {
            Fate::Static | Fate::Replayed(_) => "active",
            Fate::Copied | Fate::Passive => "passive",
        }
    }

    pub(crate) const fn fate(&self) -> &'static str {
        match self.segment.fate {
            Fate::Static => "baked",
            Fate::Copied => "baked_for_start_function",
            Fate::Replayed(_) => "replayed",
            Fate::Passive if self.is_left_to_start => "left_to_start_function",
            Fate::Passive => "passive",
        }
    }
}

/// Returns the segments of a module in the order of their indices. `file` contains the module.
pub(crate) fn rows<'a>(survey: &ModuleSurvey<'a>, file: &'a [u8]) -> Vec<SegmentRow<'a>> {
    let left = survey.start.as_ref().filter(|it| it.why_not.is_some());
    let left = left.and_then(|it| it.init.as_ref().ok());
    let addrs: BTreeMap<u32, u64> = left
        .map_or(&[][..], StartInit::writes)
        .iter()
        .map(|(segment, addr)| (segment.as_u32(), *addr))
        .collect();
    let row = |mut segment: SegmentView<'a>| {
        let left_at = addrs.get(&segment.index).copied();
        if left_at.is_some() {
            segment.memory = left.map(|it| it.memory().as_u32());
            segment.addr = left_at;
        }
        SegmentRow {
            file_offset: offset_within(file, &segment.data),
            is_left_to_start: left_at.is_some(),
            segment,
        }
    };
    let segments = segment::of_module(&survey.module, &survey.plan);
    segments.into_iter().map(row).collect()
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
            it.segment.index.to_string(),
            it.segment.name.map_or_else(nothing, |name| look.name(name)),
            it.mode().to_owned(),
            it.segment.memory.map_or_else(nothing, |it| it.to_string()),
            hex(it.segment.addr),
            grouped(it.segment.len()),
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
    match row.segment.fate {
        Fate::Static => "in the image".to_owned(),
        Fate::Copied => "in the image, for the start function".to_owned(),
        Fate::Replayed(Some(reason)) => {
            let memory = row.segment.memory.map(MemoryIndex::from_u32);
            let why = reasons::why(&reason, memory, &survey.module, look);
            format!("replayed: {why}")
        }
        Fate::Replayed(None) => "replayed".to_owned(),
        Fate::Passive if row.is_left_to_start => "left to the start function".to_owned(),
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
