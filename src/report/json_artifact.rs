//! `inspect --json` of an artifact.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use wasm_meminit::analysis::{Assumption, IndexType, Policy, StartFunction, ThreadLocal};
use wasm_meminit::image_builder::{BakedStart, FORMAT_VERSION};

use crate::report::artifact::{ArtifactSurvey, Part};
use crate::report::json::{FORMAT, MAX_MEMORIES};
use crate::report::json_file::{self, File, Finding, TOOL, Tool};
use crate::report::require;

type Result<T> = core::result::Result<T, serde_json::Error>;

#[derive(Serialize)]
struct Report<'s> {
    format: u32,
    tool: Tool<'static>,
    file: File<'s>,
    headline: Headline,
    artifacts: Vec<Artifact<'s>>,
    findings: Vec<Finding<'s>>,
}

#[derive(Serialize)]
struct Headline {
    text: String,
    verdict: &'static str,
    image_bytes: u64,
    host_pages: u64,
    replayed: u64,
}

#[derive(Serialize)]
struct Artifact<'s> {
    file_offset: u64,
    format_version: u32,
    built_by: Tool<'s>,
    source_sha256: Option<String>,
    stripped_sha256: Option<String>,
    host_page_size: u64,
    file_page_size: u64,
    policy: PolicyFields,
    elements_may_trap: bool,
    start_function: Option<Start>,
    assumptions: Vec<AssumptionFields>,
    memories: Vec<Box<RawValue>>,
    omitted_memories: usize,
    replay: Vec<Box<RawValue>>,
}

#[derive(Serialize)]
struct PolicyFields {
    max_gap: Option<u64>,
    max_runs: Option<usize>,
    max_image_size: u64,
    max_image_size_always_allowed: Option<u64>,
    zeroed_imports: bool,
    start_function: StartFunction,
}

impl PolicyFields {
    fn new(it: &Policy) -> Self {
        Self {
            max_gap: it.max_gap(),
            max_runs: (it.max_runs() != usize::MAX).then(|| it.max_runs()),
            max_image_size: it.max_image_size(),
            max_image_size_always_allowed: it.max_image_size_always_allowed(),
            zeroed_imports: it.assumes_zeroed_imports(),
            start_function: it.start_function(),
        }
    }
}

#[derive(Serialize)]
struct Start {
    memory: u32,
    flag: u64,
    is_done: bool,
    thread_local: Option<ThreadLocal>,
}

impl Start {
    fn new(it: BakedStart) -> Self {
        Self {
            memory: it.memory.as_u32(),
            flag: it.flag,
            is_done: it.is_done,
            thread_local: it.thread_local,
        }
    }
}

/// What the artifact assumes about the host, as a word and as a sentence.
#[derive(Serialize)]
pub(crate) struct AssumptionFields {
    kind: &'static str,
    text: String,
}

impl AssumptionFields {
    pub(crate) fn new(it: &Assumption) -> Self {
        let kind = match it {
            Assumption::GlobalValue { .. } => "global_value",
            Assumption::ZeroedMemory { .. } => "zeroed_memory",
            Assumption::MemorySize { .. } => "memory_size",
            Assumption::StartFunction { .. } => "start_function",
            _ => "other",
        };
        Self {
            kind,
            text: it.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Memory {
    index: usize,
    imported: bool,
    index_type: IndexType,
    shared: bool,
    page_size: u64,
    min_bytes: Option<u64>,
    max_bytes: Option<u64>,
    image_bytes: u64,
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    addr: u64,
    len: u64,
    file_offset: u64,
}

#[derive(Serialize)]
struct Replayed {
    segment: u32,
    memory: u32,
    address: Option<u64>,
    offset: Option<String>,
    length: u64,
}

/// Returns the report, with a newline at the end.
///
/// # Errors
///
/// None that input can cause; serde's interface requires one.
pub(crate) fn report(survey: &ArtifactSurvey<'_>, findings: &[require::Finding]) -> Result<String> {
    json_file::document(&Report {
        format: FORMAT,
        tool: TOOL,
        file: File::new(&survey.file),
        headline: Headline {
            text: survey.sentence(),
            verdict: survey.verdict().word(),
            image_bytes: survey.image_bytes(),
            host_pages: survey.host_pages(),
            replayed: survey.n_replayed(),
        },
        artifacts: survey.parts.iter().map(artifact).collect::<Result<_>>()?,
        findings: Finding::list(findings),
    })
}

fn artifact<'s>(part: &'s Part<'_>) -> Result<Artifact<'s>> {
    let it = &part.artifact;
    let n_memories = it.memories().len();
    let n_listed = n_memories.min(MAX_MEMORIES);
    let tool = it.tool();
    Ok(Artifact {
        file_offset: part.offset,
        format_version: FORMAT_VERSION,
        built_by: Tool {
            name: tool.name,
            version: tool.version,
        },
        source_sha256: json_file::hash(it.source()),
        stripped_sha256: json_file::hash(it.stripped()),
        host_page_size: it.page_size().bytes(),
        file_page_size: it.file_alignment().bytes(),
        policy: PolicyFields::new(&it.policy()),
        elements_may_trap: it.elements_may_trap(),
        start_function: it.start().map(Start::new),
        assumptions: it
            .assumptions()
            .map(|it| AssumptionFields::new(&it))
            .collect(),
        memories: (0..n_listed)
            .map(|nth| to_raw_value(&memory(part, nth)))
            .collect::<Result<_>>()?,
        omitted_memories: n_memories - n_listed,
        replay: replay(part)?,
    })
}

fn memory(part: &Part<'_>, nth: usize) -> Option<Memory> {
    let memory = part.artifact.memories().get(nth)?;
    let ty = memory.ty();
    let runs = part.runs(nth).iter();
    let runs: Vec<Run> = runs
        .zip(part.file_offsets(nth))
        .map(|(run, file_offset)| Run {
            addr: run.addr,
            len: run.len,
            file_offset,
        })
        .collect();
    Some(Memory {
        index: nth,
        imported: memory.is_imported(),
        index_type: ty.index_type,
        shared: ty.shared,
        page_size: ty.page_size.bytes(),
        min_bytes: ty.min_bytes(),
        max_bytes: ty.max_bytes(),
        image_bytes: runs.iter().map(|it| it.len).sum(),
        runs,
    })
}

fn replay(part: &Part<'_>) -> Result<Vec<Box<RawValue>>> {
    let line = |it: wasm_meminit::analysis::MemoryInitializer<'_>| {
        let address = part.address(&it);
        to_raw_value(&Replayed {
            segment: it.segment.as_u32(),
            memory: it.memory_index.as_u32(),
            address,
            offset: address.is_none().then(|| it.offset.to_string()),
            length: it.data.len() as u64,
        })
    };
    part.artifact.replay().map(line).collect()
}
