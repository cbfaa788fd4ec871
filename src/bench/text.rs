//! The tables of `bench`.

use core::fmt::Display;

use wasm_meminit::apply::Strategy;

use crate::report::wrap::paragraph;
use crate::text::printable::printable;
use crate::text::terminal::{BOLD, DIM, Look, paint, right};
use crate::text::units::{counted, grouped, size};

use super::report::{MemoryReport, Report};
use super::resets::Reset;
use super::spread::{Difference, Spread, significant};
use super::starts::Start;
use super::verdict;

pub(crate) fn report(report: &Report, look: Look) -> String {
    let mut out = format!("{}\n\n", paint(BOLD, printable(&report.name)));
    out.push_str(&format!("{}\n", report.capabilities));
    for memory in &report.memories {
        out.push('\n');
        head(&mut out, memory);
        match &memory.outcome {
            Ok(measured) => {
                starts(&mut out, &measured.starts, look);
                resets(&mut out, &measured.resets, report.page_size, look);
                out.push('\n');
                for sentence in verdict::sentences(measured) {
                    let sentence = match look.ascii {
                        true => sentence.replace('×', "x"),
                        false => sentence,
                    };
                    paragraph(&mut out, &sentence, look.columns, "", "  ");
                }
            }
            Err(why) => out.push_str(&format!("  not measured: {why}\n")),
        }
    }
    out
}

fn head(out: &mut String, memory: &MemoryReport) {
    let bytes = memory.bytes.map_or("2^64 bytes".to_owned(), size);
    let image = match memory.n_runs {
        0 => "no image".to_owned(),
        n => format!(
            "an image of {} in {}",
            size(memory.image_bytes),
            counted(n as u64, "run")
        ),
    };
    out.push_str(&paint(BOLD, format_args!("memory {}", memory.index)));
    out.push_str(&format!(", {bytes}, {image}"));
    if memory.n_replayed != 0 {
        let n = counted(memory.n_replayed, "segment");
        out.push_str(&format!(", {n} still to replay"));
    }
    out.push('\n');
}

fn starts(out: &mut String, starts: &[Start], look: Look) {
    let n_rounds = starts.iter().map(|it| it.time.n_rounds).min().unwrap_or(0);
    let caption = format!(
        "Initialising a fresh memory, in µs; medians of {}, with the quartiles:",
        counted(n_rounds as u64, "round")
    );
    self::caption(out, &caption, look);
    let dash = look.either("–", "-");
    let mut table = Table::new(["way", "µs", "quartiles", "x"], 3, look);
    for start in starts {
        let time = start.time;
        let spread = format!("{}{dash}{}", micros(time.p25), micros(time.p75));
        let ratio = match (start.way, start.comparison.difference) {
            ("replay", _) => "1".to_owned(),
            (_, Difference::None) => look.either("≈1", "~1").to_owned(),
            _ => significant(start.comparison.ratio),
        };
        table.row([start.way.to_owned(), micros(time.median), spread, ratio]);
    }
    table.draw(out);
    out.push('\n');
}

fn resets(out: &mut String, resets: &[Reset], page_size: u64, look: Look) {
    let Some(first) = resets.first() else { return };
    let n_rounds = resets.iter().map(|it| it.fresh.n_rounds).min().unwrap_or(0);
    let caption = format!(
        "A start, a use that writes that many pages of {}, and a reset, in µs; medians of at least \
         {}, ± half of the distance between the quartiles; fresh: a new memory for each use:",
        size(page_size),
        counted(n_rounds as u64, "round")
    );
    self::caption(out, &caption, look);
    let strategies = first.by.iter().map(|(strategy, _)| column(*strategy));
    let head = ["pages".to_owned(), "fresh".to_owned()].into_iter();
    let mut table = Table::new(head.chain(strategies), 2, look);
    for reset in resets {
        let costs = reset.by.iter().map(|(_, cost)| cost.cycle);
        let costs = core::iter::once(reset.fresh).chain(costs);
        let cells = costs.map(|it| with_spread(it, look));
        table.row(core::iter::once(grouped(reset.n_pages)).chain(cells));
    }
    table.draw(out);
}

/// Returns the name of a strategy, short enough for a column.
fn column(strategy: Strategy) -> String {
    match strategy {
        Strategy::ScanAndCopy => "scan".to_owned(),
        strategy => strategy.to_string(),
    }
}

fn caption(out: &mut String, text: &str, look: Look) {
    let text = match look.ascii {
        true => text.replace('µ', "u").replace('±', "+-"),
        false => text.to_owned(),
    };
    paragraph(out, &text, look.columns, "", "");
}

/// Formats a median with half of its spread: `12.3 ±4%`.
fn with_spread(time: Spread, look: Look) -> String {
    let share = (time.p75 - time.p25) / 2.0 / time.median;
    let percent = (share * 100.0).ceil() as u64;
    format!(
        "{} {}{percent}%",
        micros(time.median),
        look.either("±", "+-")
    )
}

/// Formats a time in microseconds with three significant digits.
fn micros(nanoseconds: f64) -> String {
    significant(nanoseconds / 1000.0)
}

/// A table whose first column is left-aligned and whose other columns are right-aligned.
struct Table {
    rows: Vec<Vec<String>>,
    /// The number of spaces between columns.
    gap: usize,
    look: Look,
}

impl Table {
    fn new<T: Display>(head: impl IntoIterator<Item = T>, gap: usize, look: Look) -> Self {
        let micro = |cell: T| match look.ascii {
            true => cell.to_string().replace('µ', "u"),
            false => cell.to_string(),
        };
        Self {
            rows: vec![head.into_iter().map(micro).collect()],
            gap,
            look,
        }
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn draw(&self, out: &mut String) {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        for (nth, row) in self.rows.iter().enumerate() {
            let mut line = String::from("  ");
            for (column, cell) in row.iter().enumerate() {
                if column == 0 {
                    line.push_str(&format!("{cell:<width$}", width = width(0)));
                } else {
                    line.push_str(&" ".repeat(self.gap));
                    line.push_str(&right(cell, width(column)));
                }
            }
            let style = if nth == 0 { DIM } else { anstyle::Style::new() };
            out.push_str(&format!("{}\n", paint(style, line.trim_end())));
            if nth == 0 {
                let all: usize = (0..row.len()).map(|column| width(column) + self.gap).sum();
                let rule = self.look.either("─", "-").repeat(all - self.gap);
                out.push_str(&format!("  {}\n", paint(DIM, rule)));
            }
        }
    }
}
