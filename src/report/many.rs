//! The report on several files: one row for each, and the totals.

use unicode_width::UnicodeWidthStr;

use crate::report::artifact::ArtifactSurvey;
use crate::report::file::FileFacts;
use crate::report::headline::{Headline, Verdict};
use crate::report::require::Finding;
use crate::report::survey::Survey;
use crate::text::printable::printable;
use crate::text::terminal::{BOLD, CYAN, DIM, GREEN, Look, YELLOW, paint, right};
use crate::text::units::{counted, grouped};

/// What the summary shows of one file.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) file: FileFacts,
    pub(crate) verdict: Verdict,
    /// The data of a module or component. An artifact does not record how much it was.
    pub(crate) data: Option<Headline>,
    pub(crate) image_bytes: u64,
    pub(crate) n_replayed: u64,
    pub(crate) findings: Vec<Finding>,
}

/// The sums of all rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) n_files: u64,
    /// Of the modules and components.
    pub(crate) data: Headline,
    pub(crate) image_bytes: u64,
    pub(crate) n_replayed: u64,
}

impl Row {
    pub(crate) fn of_modules(survey: &Survey<'_>, findings: Vec<Finding>) -> Self {
        Self {
            file: survey.file.clone(),
            verdict: survey.headline.verdict(),
            data: Some(survey.headline),
            image_bytes: survey.headline.image_bytes,
            n_replayed: survey.headline.n_replayed,
            findings,
        }
    }

    pub(crate) fn of_artifact(survey: &ArtifactSurvey<'_>, findings: Vec<Finding>) -> Self {
        Self {
            file: survey.file.clone(),
            verdict: survey.verdict(),
            data: None,
            image_bytes: survey.image_bytes(),
            n_replayed: survey.n_replayed(),
            findings,
        }
    }
}

impl Totals {
    pub(crate) fn of(rows: &[Row]) -> Self {
        rows.iter().fold(Self::default(), |sum, row| Self {
            n_files: sum.n_files + 1,
            data: sum.data.plus(row.data.unwrap_or_default()),
            image_bytes: sum.image_bytes.saturating_add(row.image_bytes),
            n_replayed: sum.n_replayed.saturating_add(row.n_replayed),
        })
    }
}

/// Returns the table. Names are in the last column, so that long ones disturb nothing.
pub(crate) fn text(rows: &[Row], n_failed: usize, look: Look) -> String {
    let titles = [
        "verdict",
        "kind",
        "data bytes",
        "in images",
        "share",
        "image bytes",
        "replayed",
        "file",
    ];
    let nothing = || look.either("–", "-").to_owned();
    let numbers = |data: Option<&Headline>, image_bytes: u64, n_replayed: u64| {
        [
            data.map_or_else(nothing, |it| grouped(it.data_bytes)),
            data.map_or_else(nothing, |it| grouped(it.in_images)),
            data.and_then(Headline::shown_share).unwrap_or_else(nothing),
            grouped(image_bytes),
            grouped(n_replayed),
        ]
    };
    let line = |verdict: &str, kind: &str, numbers: [String; 5], file: String| -> [String; 8] {
        let [a, b, c, d, e] = numbers;
        [verdict.to_owned(), kind.to_owned(), a, b, c, d, e, file]
    };
    let mut table = vec![titles.map(str::to_owned)];
    table.extend(rows.iter().map(|it| {
        line(
            it.verdict.word(),
            it.file.kind.word(),
            numbers(it.data.as_ref(), it.image_bytes, it.n_replayed),
            printable(&it.file.name).into_owned(),
        )
    }));
    let totals = Totals::of(rows);
    let mut files = counted(totals.n_files, "file");
    if n_failed != 0 {
        files.push_str(&format!(", {} not read", grouped(n_failed as u64)));
    }
    table.push(line(
        "total",
        "",
        numbers(Some(&totals.data), totals.image_bytes, totals.n_replayed),
        files,
    ));
    let widths: [usize; 8] = core::array::from_fn(|column| {
        let cells = table.iter().map(|row| row[column].width());
        cells.max().unwrap_or(0)
    });
    let mut out = String::new();
    for (nth, row) in table.iter().enumerate() {
        let cell = |(column, text): (usize, &String)| match column {
            0 | 1 => format!("{text}{}", " ".repeat(widths[column] - text.width())),
            7 => text.clone(),
            _ => right(text, widths[column]),
        };
        let mut cells: Vec<String> = row.iter().enumerate().map(cell).collect();
        let verdict = nth.checked_sub(1).and_then(|nth| rows.get(nth));
        if let (Some(row), Some(first)) = (verdict, cells.first_mut()) {
            *first = paint(style(row.verdict), &first);
        }
        let line = cells.join("  ");
        let style = match nth {
            0 => DIM,
            nth if nth + 1 == table.len() => BOLD,
            _ => anstyle::Style::new(),
        };
        out.push_str(&format!("{}\n", paint(style, line.trim_end())));
    }
    out
}

const fn style(verdict: Verdict) -> anstyle::Style {
    match verdict {
        Verdict::None => DIM,
        Verdict::Static => GREEN,
        Verdict::Hybrid => CYAN,
        Verdict::Segmented => YELLOW,
    }
}
