//! The tables of `bench`.

use core::fmt::Display;

use crate::text::printable::printable;
use crate::text::terminal::{BOLD, DIM, Look, paint, right};
use crate::text::units::{counted, grouped, size};

use super::report::{MemoryReport, Report};
use super::resets::Reset;
use super::starts::Start;

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
    let mut table = Table::new(["initialising a fresh memory", "µs", "x"], look);
    for start in starts {
        let ratio = format!("{:.3}", start.ratio);
        table.row([start.way.to_owned(), micros(start.nanoseconds), ratio]);
    }
    table.draw(out);
    out.push('\n');
}

fn resets(out: &mut String, resets: &[Reset], page_size: u64, look: Look) {
    let Some(first) = resets.first() else { return };
    let title = format!("µs per use; pages of {}", size(page_size));
    let strategies = first.by.iter().map(|(strategy, _)| strategy.to_string());
    let mut table = Table::new(core::iter::once(title).chain(strategies), look);
    for reset in resets {
        let costs = reset.by.iter().map(|(_, cost)| micros(cost.cycle));
        table.row(core::iter::once(grouped(reset.n_pages)).chain(costs));
    }
    table.draw(out);
}

/// Formats a time in microseconds with three significant digits.
fn micros(nanoseconds: f64) -> String {
    let micros = nanoseconds / 1000.0;
    match micros {
        ..10.0 => format!("{micros:.2}"),
        10.0..100.0 => format!("{micros:.1}"),
        _ => grouped(micros.round() as u64),
    }
}

/// A table whose first column is left-aligned and whose other columns are right-aligned.
struct Table {
    rows: Vec<Vec<String>>,
    look: Look,
}

impl Table {
    fn new<T: Display>(head: impl IntoIterator<Item = T>, look: Look) -> Self {
        let micro = |cell: T| match look.ascii {
            true => cell.to_string().replace('µ', "u"),
            false => cell.to_string(),
        };
        Self {
            rows: vec![head.into_iter().map(micro).collect()],
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
                    line.push_str(&format!("   {}", right(cell, width(column))));
                }
            }
            let style = if nth == 0 { DIM } else { anstyle::Style::new() };
            out.push_str(&format!("{}\n", paint(style, line.trim_end())));
            if nth == 0 {
                let all: usize = (0..row.len()).map(|column| width(column) + 3).sum();
                let rule = self.look.either("─", "-").repeat(all - 3);
                out.push_str(&format!("  {}\n", paint(DIM, rule)));
            }
        }
    }
}
