//! `bench --json`: the measurements in a versioned format.
//!
//! ```text
//! { "format": 1,
//!   "host_page_size",
//!   "capabilities": { "image_source", "scan", "batch", "strategy" }, each a text,
//!   "memories": [
//!     { "index", "bytes" (null where 2^64), "image_bytes", "runs", "replayed",
//!       "not_measured": "why" or null,
//!       "starts": [ { "way": "replay"|"copy"|"map"|"zero", "nanoseconds", "ratio" } ],
//!       "resets": [
//!         { "pages", "by": [ { "strategy", "reset_nanoseconds", "cycle_nanoseconds" } ] } ] } ] }
//! ```
//!
//! Times are medians; ratios are relative to the first way in the list. Within a format
//! number, fields are only ever added.

use serde::Serialize;

use super::report::{MemoryReport, Report};
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
}

#[derive(Serialize)]
struct Start {
    way: &'static str,
    nanoseconds: f64,
    ratio: f64,
}

#[derive(Serialize)]
struct Reset {
    pages: u64,
    by: Vec<By>,
}

#[derive(Serialize)]
struct By {
    strategy: String,
    reset_nanoseconds: f64,
    cycle_nanoseconds: f64,
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
                nanoseconds: it.nanoseconds,
                ratio: it.ratio,
            })
            .collect(),
        resets: resets
            .iter()
            .map(|it| Reset {
                pages: it.n_pages,
                by: it
                    .by
                    .iter()
                    .map(|(strategy, cost)| By {
                        strategy: strategy.to_string(),
                        reset_nanoseconds: cost.reset,
                        cycle_nanoseconds: cost.cycle,
                    })
                    .collect(),
            })
            .collect(),
    }
}
