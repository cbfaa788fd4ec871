//! `verify --json`: what was compared, and the first difference.
//! `docs/schema/verify.schema.json` documents it.

use serde::Serialize;
use wasm_meminit::analysis::Assumption;
use wasm_meminit::image_builder::SourceHash;
use wasm_meminit::image_builder::verify::Verified;

use crate::input::hash::hex;
use crate::report::file::FileFacts;
use crate::report::json_artifact::AssumptionFields;
use crate::report::json_file::{self, File, TOOL, Tool};

/// The version of the format.
const FORMAT: u32 = 1;

/// One comparison of a core module with an artifact.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    /// The core module's number in the file.
    pub(crate) nth: usize,
    /// The hash of the core module.
    pub(crate) sha256: SourceHash,
    /// The hash that the artifact records.
    pub(crate) source: Option<SourceHash>,
    /// Whether the module is the stripped one, so that no bytes could be compared.
    pub(crate) is_stripped: bool,
    /// The first difference.
    pub(crate) finding: Option<String>,
    /// What was compared, unless there is a difference or the module is the stripped one.
    pub(crate) verified: Option<Verified>,
    pub(crate) assumptions: Vec<Assumption>,
}

#[derive(Serialize)]
struct Document<'s> {
    format: u32,
    tool: Tool<'static>,
    module: File<'s>,
    artifact: File<'s>,
    correct: bool,
    modules: Vec<Module<'s>>,
}

#[derive(Serialize)]
struct Module<'s> {
    index: usize,
    sha256: String,
    source_sha256: Option<String>,
    stripped: bool,
    correct: bool,
    finding: Option<&'s str>,
    compared: Option<Compared>,
    assumptions: Vec<AssumptionFields>,
}

#[derive(Serialize)]
struct Compared {
    memories: u64,
    data_bytes: u64,
    pages: u64,
    baked: u64,
    replayed: u64,
    unknown: u64,
}

/// Returns the document, with a newline at the end.
///
/// # Errors
///
/// None that input can cause; serde's interface requires one.
pub(crate) fn report(
    file: &FileFacts,
    artifact: &FileFacts,
    all: &[Comparison],
) -> serde_json::Result<String> {
    json_file::document(&Document {
        format: FORMAT,
        tool: TOOL,
        module: File::new(file),
        artifact: File::new(artifact),
        correct: all.iter().all(|it| it.finding.is_none()),
        modules: all.iter().map(module).collect(),
    })
}

fn module(it: &Comparison) -> Module<'_> {
    Module {
        index: it.nth,
        sha256: hex(it.sha256),
        source_sha256: json_file::hash(it.source),
        stripped: it.is_stripped,
        correct: it.finding.is_none(),
        finding: it.finding.as_deref(),
        compared: it.verified.as_ref().map(|it| Compared {
            memories: it.n_memories,
            data_bytes: it.data_bytes,
            pages: it.n_pages,
            baked: it.n_baked,
            replayed: it.n_replayed,
            unknown: it.n_unknown,
        }),
        assumptions: it.assumptions.iter().map(AssumptionFields::new).collect(),
    }
}
