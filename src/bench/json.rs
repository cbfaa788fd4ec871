//! `bench --json`: the measurements in a versioned format, documented in `docs/bench-json.md`.

use serde::Serialize;

use super::report::{MemoryReport, Report};
use super::verdict;
use crate::text::printable;

const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Document {
    format: u32,
    host_page_size: u64,
    capabilities: Capabilities,
    memories: Vec<Memory>,
}

#[derive(Serialize)]
struct Capabilities {
    image_source: String,
    scan: String,
    batch: String,
    strategy: String,
}

#[derive(Serialize)]
struct Memory {
    index: u32,
    bytes: Option<u64>,
    image_bytes: u64,
    runs: usize,
    replayed: u64,
    not_measured: Option<String>,
    starts: Vec<Start>,
    resets: Vec<Reset>,
    verdict: Vec<String>,
}

#[derive(Serialize)]
struct Start {
    way: &'static str,
    nanoseconds: f64,
    p25: f64,
    p75: f64,
    rounds: usize,
    ratio: f64,
    difference: &'static str,
}

#[derive(Serialize)]
struct Reset {
    pages: u64,
    fresh_nanoseconds: f64,
    fresh_p25: f64,
    fresh_p75: f64,
    rounds: usize,
    ratio: f64,
    difference: &'static str,
    by: Vec<By>,
}

#[derive(Serialize)]
struct By {
    strategy: String,
    reset_nanoseconds: f64,
    reset_p25: f64,
    reset_p75: f64,
    cycle_nanoseconds: f64,
    cycle_p25: f64,
    cycle_p75: f64,
}

/// Returns the document, with a newline at the end.
///
/// # Errors
///
/// Never: all of these types can be serialised.
pub(crate) fn report(report: &Report) -> serde_json::Result<String> {
    let system = report.capabilities;
    let document = Document {
        format: FORMAT,
        host_page_size: report.page_size,
        capabilities: Capabilities {
            image_source: system.image_source.to_string(),
            scan: system.scan.to_string(),
            batch: system.batch.to_string(),
            strategy: system.strategy.to_string(),
        },
        memories: report.memories.iter().map(memory).collect(),
    };
    let mut text = printable::json(serde_json::to_string_pretty(&document)?);
    text.push('\n');
    Ok(text)
}

fn memory(memory: &MemoryReport) -> Memory {
    let measured = memory.outcome.as_ref();
    let starts = measured.map_or(&[][..], |it| &it.starts);
    let resets = measured.map_or(&[][..], |it| &it.resets);
    Memory {
        index: memory.index,
        bytes: memory.bytes,
        image_bytes: memory.image_bytes,
        runs: memory.n_runs,
        replayed: memory.n_replayed,
        not_measured: memory.outcome.as_ref().err().map(ToString::to_string),
        starts: starts
            .iter()
            .map(|it| Start {
                way: it.way,
                nanoseconds: it.time.median,
                p25: it.time.p25,
                p75: it.time.p75,
                rounds: it.time.n_rounds,
                ratio: it.comparison.ratio,
                difference: it.comparison.difference.word(),
            })
            .collect(),
        resets: resets
            .iter()
            .map(|it| Reset {
                pages: it.n_pages,
                fresh_nanoseconds: it.fresh.median,
                fresh_p25: it.fresh.p25,
                fresh_p75: it.fresh.p75,
                rounds: it.fresh.n_rounds,
                ratio: it.comparison.ratio,
                difference: it.comparison.difference.word(),
                by: it
                    .by
                    .iter()
                    .map(|(strategy, cost)| By {
                        strategy: strategy.to_string(),
                        reset_nanoseconds: cost.reset.median,
                        reset_p25: cost.reset.p25,
                        reset_p75: cost.reset.p75,
                        cycle_nanoseconds: cost.cycle.median,
                        cycle_p25: cost.cycle.p25,
                        cycle_p75: cost.cycle.p75,
                    })
                    .collect(),
            })
            .collect(),
        verdict: measured.map_or_else(|_| Vec::new(), verdict::sentences),
    }
}
