//! `pack --json`: what was rewritten. `docs/schema/pack.schema.json` documents it.

use serde::Serialize;
use wasm_meminit::image_builder::rewrite::Packed;

use crate::report::file::FileFacts;
use crate::report::json_file::{self, File, TOOL, Tool};

/// The version of the format.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Document<'s> {
    format: u32,
    tool: Tool<'static>,
    input: File<'s>,
    output: File<'s>,
    objective: &'s str,
    changed: bool,
    modules: Vec<Module>,
}

#[derive(Serialize)]
struct Module {
    index: usize,
    changed: bool,
    before: Counts,
    after: Counts,
}

/// Of the data section.
#[derive(Serialize)]
struct Counts {
    segments: usize,
    bytes: usize,
}

/// Returns the document, with a newline at the end.
///
/// # Errors
///
/// None that input can cause; serde's interface requires one.
pub(crate) fn report(
    input: &FileFacts,
    output: &FileFacts,
    objective: &str,
    modules: &[Packed],
) -> serde_json::Result<String> {
    let module = |(index, it): (usize, &Packed)| Module {
        index,
        changed: it.is_changed,
        before: Counts {
            segments: it.before.segments,
            bytes: it.before.bytes,
        },
        after: Counts {
            segments: it.after.segments,
            bytes: it.after.bytes,
        },
    };
    json_file::document(&Document {
        format: FORMAT,
        tool: TOOL,
        input: File::new(input),
        output: File::new(output),
        objective,
        changed: modules.iter().any(|it| it.is_changed),
        modules: modules.iter().enumerate().map(module).collect(),
    })
}
