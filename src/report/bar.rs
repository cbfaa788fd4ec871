//! Draws an address space as a bar of characters.

use core::ops::Range;

use anstyle::Style;

use crate::report::map::{Cell, MemoryMap};
use crate::text::terminal::{BOLD, CYAN, DIM, GREEN, Look, YELLOW, paint};
use crate::text::units::{counted, size};

/// Returns a cell's block character, its ASCII character and its colour.
const fn glyph(cell: Cell) -> (&'static str, &'static str, Style) {
    match cell {
        Cell::Dense => ("█", "#", GREEN),
        Cell::Sparse => ("▄", "+", GREEN),
        Cell::Stored => ("░", "-", CYAN),
        Cell::Replayed => ("▒", "r", YELLOW),
        Cell::Zero => ("·", ".", DIM),
    }
}

impl MemoryMap<'_, '_> {
    /// Whether a bar would show anything.
    pub(crate) fn is_worth_drawing(&self) -> bool {
        self.size != 0 && (self.extent().is_some() || self.n_unplaced != 0)
    }
}

/// What is drawn of a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// One bar for the whole memory.
    Memory,
    /// Another one for its extent, if that is less than half of it.
    MemoryAndExtent,
}

/// Draws the bars of a memory. Adds the cells that were drawn to `seen`.
pub(crate) fn draw(
    out: &mut String,
    memory: usize,
    map: &MemoryMap<'_, '_>,
    detail: Detail,
    look: Look,
    seen: &mut Vec<Cell>,
) {
    let title = format!("memory {memory}");
    out.push_str(&format!("{}, {}\n", paint(BOLD, title), size(map.size)));
    bar(out, map, &(0..map.size), look, seen);
    if let (Some(extent), Detail::MemoryAndExtent) = (map.extent(), detail) {
        let span = extent.end - extent.start;
        if span < map.size / 2 {
            out.push_str(&format!("extent, {}\n", size(span)));
            bar(out, map, &extent, look, seen);
        }
    }
    if map.n_unplaced != 0 {
        let segments = counted(map.n_unplaced, "segment");
        let bytes = counted(map.unplaced_bytes, "byte");
        out.push_str(&format!(
            "and {segments} ({bytes}) at addresses not yet known\n"
        ));
    }
}

fn bar(
    out: &mut String,
    map: &MemoryMap<'_, '_>,
    addresses: &Range<u64>,
    look: Look,
    seen: &mut Vec<Cell>,
) {
    let width = look.columns - 2;
    let cells = map.cells(addresses, width as u64);
    let (left, right) = look.either(("▕", "▏"), ("[", "]"));
    out.push_str(left);
    for stretch in cells.chunk_by(|a, b| a == b) {
        let cell = stretch[0];
        let (unicode, ascii, style) = glyph(cell);
        out.push_str(&paint(
            style,
            look.either(unicode, ascii).repeat(stretch.len()),
        ));
        if !seen.contains(&cell) {
            seen.push(cell);
        }
    }
    out.push_str(&format!("{right}\n"));
    scale(out, addresses, cells.len());
}

/// Prints the first address below the left end, and one past the last below the right end.
fn scale(out: &mut String, addresses: &Range<u64>, n_cells: usize) {
    let (start, end) = (
        format!("{:#x}", addresses.start),
        format!("{:#x}", addresses.end),
    );
    let room = n_cells.saturating_sub(start.len()).max(end.len() + 1);
    out.push_str(&format!(
        " {}\n",
        paint(DIM, format!("{start}{end:>room$}"))
    ));
}

/// Explains the characters that were drawn.
pub(crate) fn legend(out: &mut String, look: Look, seen: &[Cell]) {
    let items: Vec<String> = Cell::ALL
        .into_iter()
        .filter(|cell| seen.contains(cell))
        .map(|cell| {
            let (unicode, ascii, style) = glyph(cell);
            format!(
                "{} {}",
                paint(style, look.either(unicode, ascii)),
                cell.meaning()
            )
        })
        .collect();
    out.push_str(&format!(" {}\n", items.join("   ")));
}
