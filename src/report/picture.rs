//! Pictures of address ranges: rows of columns, each drawn with one path for each class.
//!
//! Colour is not the only mark: classes differ in height too. `html/map.js` draws the same
//! rows at any zoom.

use core::fmt::Write;
use core::ops::Range;

use crate::report::map::{Cell, MemoryMap, Scale};
use crate::report::placed::{Kind, Placed};

/// The height of a row, in the units of its coordinate system; a column has the width 1.
pub(crate) const HEIGHT: u32 = 10;

/// The parts of a row's height that are filled, each from top to bottom.
pub(crate) type Bands = &'static [(u32, u32)];

const FULL: Bands = &[(0, HEIGHT)];
const LOWER: Bands = &[(4, HEIGHT)];
const LINE: Bands = &[(8, HEIGHT)];
/// Hollow: not in an image.
const SPLIT: Bands = &[(0, 4), (6, HEIGHT)];

/// How one class of addresses is drawn, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Its class in the style sheet.
    pub(crate) class: &'static str,
    pub(crate) bands: Bands,
    pub(crate) meaning: &'static str,
}

impl Cell {
    pub(crate) const fn style(self) -> Style {
        let (class, bands) = match self {
            Self::Zero => ("zero", &[] as Bands),
            Self::Stored => ("stored", LINE),
            Self::Sparse => ("sparse", LOWER),
            Self::Dense => ("dense", FULL),
            Self::Replayed => ("replayed", SPLIT),
        };
        let meaning = self.meaning();
        Style {
            class,
            bands,
            meaning,
        }
    }
}

impl Kind {
    pub(crate) const fn style(self) -> Style {
        let (class, bands) = match self {
            Self::Baked => ("baked", FULL),
            Self::ForStart => ("for-start", FULL),
            Self::Flag => ("flag", FULL),
            Self::Replayed => ("replayed", SPLIT),
            Self::LeftToStart => ("left", SPLIT),
        };
        let meaning = self.meaning();
        Style {
            class,
            bands,
            meaning,
        }
    }
}

/// A row of columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) n_columns: usize,
    /// The styles that occur, each with its path.
    pub(crate) paths: Vec<(Style, String)>,
    /// How many rectangles the paths have.
    pub(crate) n_stretches: usize,
}

impl Row {
    /// Draws what the image holds.
    pub(crate) fn image(map: &MemoryMap<'_, '_>, addresses: &Range<u64>, n_columns: u64) -> Self {
        let cells = map.cells(addresses, n_columns);
        Self::new(cells.into_iter().map(|it| Some(it.style())))
    }

    /// Draws the segments; where several are in one column, what most of its bytes are.
    pub(crate) fn segments(
        segments: &[Placed<'_>],
        addresses: &Range<u64>,
        n_columns: u64,
    ) -> Self {
        let scale = Scale::new(addresses, n_columns);
        let of_kind = |kind: Kind| {
            let segments = segments.iter().filter(move |it| it.kind == kind);
            scale.sums(segments.map(Placed::addresses))
        };
        let sums = Kind::ALL.map(of_kind);
        let n_columns = sums[0].len();
        let style = |column: usize| {
            let kinds = Kind::ALL.iter().zip(&sums);
            let most = kinds.max_by_key(|(_, sums)| sums[column])?;
            (most.1[column] != 0).then(|| most.0.style())
        };
        Self::new((0..n_columns).map(style))
    }

    fn new(columns: impl Iterator<Item = Option<Style>>) -> Self {
        let columns: Vec<Option<Style>> = columns.collect();
        let mut row = Self {
            n_columns: columns.len(),
            ..Self::default()
        };
        let mut from = 0;
        for stretch in columns.chunk_by(|a, b| a == b) {
            let len = stretch.len();
            if let Some(style) = stretch[0].filter(|it| !it.bands.is_empty()) {
                row.add(style, from, len);
            }
            from += len;
        }
        row
    }

    fn add(&mut self, style: Style, from: usize, len: usize) {
        self.n_stretches += 1;
        let at = self.paths.iter().position(|it| it.0 == style);
        let at = at.unwrap_or_else(|| {
            self.paths.push((style, String::new()));
            self.paths.len() - 1
        });
        for (top, bottom) in style.bands {
            let height = bottom - top;
            // Writing to a `String` never fails.
            let _ = write!(self.paths[at].1, "M{from} {top}h{len}v{height}h-{len}z");
        }
    }
}

/// Returns the addresses that are worth a closer look than the whole memory: the host pages
/// from the first to the last that is written. `None` if nothing is to be drawn.
pub(crate) fn first_view(
    map: &MemoryMap<'_, '_>,
    segments: &[Placed<'_>],
    page_size: u64,
) -> Option<Range<u64>> {
    if !map.is_worth_drawing() && segments.is_empty() {
        return None;
    }
    // The start function may copy segments to addresses that nothing else writes.
    let segments = segments.iter().map(Placed::addresses);
    let ranges = || map.extent().into_iter().chain(segments.clone());
    let start = ranges().map(|it| it.start).min().unwrap_or(0);
    let end = ranges().map(|it| it.end).max().unwrap_or(map.size);
    let page_size = page_size.max(1);
    let start = start - start % page_size;
    let end = end.checked_next_multiple_of(page_size).unwrap_or(map.size);
    let end = end.min(map.size);
    match end - start < map.size / 2 {
        true => Some(start..end),
        false => Some(0..map.size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_columns_are_one_rectangle() {
        let columns = [
            Cell::Dense,
            Cell::Dense,
            Cell::Zero,
            Cell::Replayed,
            Cell::Dense,
        ];
        let row = Row::new(columns.into_iter().map(|it| Some(it.style())));
        let paths: Vec<_> = row
            .paths
            .iter()
            .map(|(it, path)| (it.class, path.as_str()))
            .collect();
        let expected = [
            ("dense", "M0 0h2v10h-2zM4 0h1v10h-1z"),
            ("replayed", "M3 0h1v4h-1zM3 6h1v4h-1z"),
        ];
        assert_eq!(paths, expected);
        assert_eq!((row.n_columns, row.n_stretches), (5, 3));
    }

    #[test]
    fn a_column_shows_what_most_of_its_bytes_are() {
        let segment = |addr: u64, len: usize, kind| Placed {
            index: Some(0),
            name: None,
            addr,
            data: vec![1; len].into(),
            kind,
        };
        let segments = [
            segment(0, 3, Kind::Baked),
            segment(4, 2, Kind::Replayed),
            segment(12, 8, Kind::ForStart),
        ];
        let row = Row::segments(&segments, &(0..32), 4);
        let classes: Vec<_> = row
            .paths
            .iter()
            .map(|it| (it.0.class, it.1.as_str()))
            .collect();
        let expected = [("baked", "M0 0h1v10h-1z"), ("for-start", "M1 0h2v10h-2z")];
        assert_eq!(classes, expected);
        assert_eq!(row.n_columns, 4);
    }
}
