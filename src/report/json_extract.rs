//! `extract --json`: what was written. `docs/schema/extract.schema.json` documents it.

use serde::Serialize;
use wasm_meminit::analysis::Run;

use crate::report::file::FileFacts;
use crate::report::json_file::{self, File, TOOL, Tool};

/// The version of the format.
const FORMAT: u32 = 1;

/// What was extracted.
pub(crate) struct Extracted<'s> {
    pub(crate) artifact: &'s FileFacts,
    /// The name of the file that was written.
    pub(crate) output: &'s str,
    pub(crate) memory: u32,
    /// The size of the file in bytes.
    pub(crate) bytes: u64,
    pub(crate) runs: &'s [Run],
    /// How many segments of the memory are still to be replayed.
    pub(crate) n_replayed: u64,
}

#[derive(Serialize)]
struct Document<'s> {
    format: u32,
    tool: Tool<'static>,
    artifact: File<'s>,
    memory: u32,
    output: Output<'s>,
    runs: Vec<Range>,
    replayed: u64,
}

#[derive(Serialize)]
struct Output<'s> {
    name: &'s str,
    size: u64,
}

#[derive(Serialize)]
struct Range {
    address: u64,
    length: u64,
}

/// Returns the document, with a newline at the end.
///
/// # Errors
///
/// None that input can cause; serde's interface requires one.
pub(crate) fn report(it: &Extracted<'_>) -> serde_json::Result<String> {
    let range = |run: &Run| Range {
        address: run.addr,
        length: run.len,
    };
    json_file::document(&Document {
        format: FORMAT,
        tool: TOOL,
        artifact: File::new(it.artifact),
        memory: it.memory,
        output: Output {
            name: it.output,
            size: it.bytes,
        },
        runs: it.runs.iter().map(range).collect(),
        replayed: it.n_replayed,
    })
}
