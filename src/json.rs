//! `inspect --json`: the report as data, a contract with its readers.
//!
//! ```text
//! { "format": 1,
//!   "modules": [
//!     { "name": "..." or null,
//!       "segments": { "active", "passive", "baked", "replayed" },
//!       "elements_may_trap": bool,
//!       "memories": [
//!         { "index", "imported": bool, "index_type": "i32"|"i64", "shared": bool,
//!           "page_size", "min_bytes" (null where 2^64),
//!           "decision": "none"|"static"|"hybrid"|"segmented",
//!           "data_bytes", "extent": { "min", "max" } or null,
//!           "image_bytes", "runs": [ { "offset", "len" } ],
//!           "import": { "module", "name" } or null, "max_bytes" or null, "density" or null,
//!           "nonzero_pages", "baked", "replayed", "overlapping", "out_of_order" } ],
//!       "reasons": [
//!         { "segment", "memory" (null for a passive one), "len", "reason": "...",
//!           what the reason says more, "import" of the global where it names one } ],
//!       "start_function": null without one that writes passive segments, or
//!         { "policy": "runs"|"emptied"|"finds_done"|"finds_done_as_thread", "baked": bool,
//!           "why_not": { "reason", what it says more } or null,
//!           "writes": null where it is not wasm-ld's, or
//!             { "memory", "flag", "segments", "bytes",
//!               "thread_local": { "global", "address" } or null } } } ],
//!   "policy": "...", "host_page_size" }
//! ```
//!
//! One entry for each core module of a component. All sizes and addresses are in
//! bytes and may need 64 bits; `max` is the address behind the last. Within a format
//! number fields are only ever added.

use serde::Serialize;
use wasm_meminit_analysis::{
    Decision, ImportName, IndexType, Reason, Run, SegmentReason, StartFunction, StartReason,
    ThreadLocal,
};

use crate::globals;
use crate::map::{self, MemoryMap};
use crate::survey::{ModuleSurvey, StartSurvey, Survey};

/// The number of the contract above.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Report<'s> {
    format: u32,
    modules: Vec<Module<'s>>,
    policy: &'s str,
    host_page_size: u64,
}

#[derive(Serialize)]
struct Module<'s> {
    name: Option<&'s str>,
    segments: Segments,
    elements_may_trap: bool,
    memories: Vec<Memory<'s>>,
    reasons: Vec<Why<'s>>,
    start_function: Option<Start>,
}

#[derive(Serialize)]
struct Start {
    policy: StartFunction,
    baked: bool,
    why_not: Option<StartReason>,
    writes: Option<Writes>,
}

#[derive(Serialize)]
struct Writes {
    memory: u32,
    flag: u64,
    segments: usize,
    bytes: u64,
    thread_local: Option<ThreadLocal>,
}

#[derive(Serialize)]
struct Segments {
    active: u64,
    passive: u64,
    baked: u64,
    replayed: u64,
}

#[derive(Serialize)]
struct Memory<'s> {
    index: u32,
    imported: bool,
    index_type: IndexType,
    shared: bool,
    page_size: u64,
    min_bytes: Option<u64>,
    decision: Decision,
    data_bytes: u64,
    extent: Option<Addresses>,
    image_bytes: u64,
    runs: &'s [Run],
    import: Option<Import<'s>>,
    max_bytes: Option<u64>,
    density: Option<f64>,
    nonzero_pages: u64,
    baked: u64,
    replayed: u64,
    overlapping: u64,
    out_of_order: u64,
}

#[derive(Serialize)]
struct Addresses {
    min: u64,
    max: u64,
}

#[derive(Serialize)]
struct Import<'s> {
    module: &'s str,
    name: &'s str,
}

#[derive(Serialize)]
struct Why<'s> {
    #[serde(flatten)]
    reason: &'s SegmentReason,
    #[serde(skip_serializing_if = "Option::is_none")]
    import: Option<Import<'s>>,
}

/// The report, with a line break at the end.
///
/// # Errors
///
/// None that input can cause; serde's interface has one.
pub(crate) fn report(survey: &Survey<'_>) -> Result<String, serde_json::Error> {
    let report = Report {
        format: FORMAT,
        modules: survey.modules.iter().map(module).collect(),
        policy: survey.policy,
        host_page_size: survey.page_size,
    };
    let mut text = serde_json::to_string_pretty(&report)?;
    text.push('\n');
    Ok(text)
}

fn module<'s>(survey: &'s ModuleSurvey<'_>) -> Module<'s> {
    let maps = map::maps(&survey.module, &survey.plan);
    let segments = Segments {
        active: survey.n_baked() + survey.n_replayed(),
        passive: survey.n_passive(),
        baked: survey.n_baked(),
        replayed: survey.n_replayed(),
    };
    Module {
        name: survey.module.name(),
        segments,
        elements_may_trap: survey.plan.elements_may_trap(),
        memories: (0..)
            .zip(&maps)
            .map(|(index, map)| memory(survey, index, map))
            .collect(),
        reasons: survey.reasons.iter().map(|it| why(survey, it)).collect(),
        start_function: survey.start.as_ref().map(|it| start(survey, it)),
    }
}

fn start(survey: &ModuleSurvey<'_>, it: &StartSurvey) -> Start {
    let len = |segment| survey.module.segments()[segment].data.len() as u64;
    Start {
        policy: survey.plan.start_function(),
        baked: it.why_not.is_none(),
        why_not: it.why_not,
        writes: it.init.as_ref().ok().map(|init| Writes {
            memory: init.memory().as_u32(),
            flag: init.flag(),
            segments: init.writes().len(),
            bytes: init.writes().iter().map(|it| len(it.0)).sum(),
            thread_local: init.thread_local(),
        }),
    }
}

fn memory<'s>(survey: &'s ModuleSurvey<'_>, index: u32, map: &MemoryMap<'s, '_>) -> Memory<'s> {
    let memory = wasm_meminit_analysis::MemoryIndex::from_u32(index);
    let plan = map.plan;
    let ty = plan.ty();
    Memory {
        index,
        imported: plan.is_imported(),
        index_type: ty.index_type,
        shared: ty.shared,
        page_size: ty.page_size.bytes(),
        min_bytes: ty.min_bytes(),
        decision: plan.decision(),
        data_bytes: map.data_bytes,
        extent: map.extent().map(|it| Addresses {
            min: it.start,
            max: it.end,
        }),
        image_bytes: plan.image_bytes(),
        runs: plan.runs(),
        import: survey.module.memories()[memory].import.map(import),
        max_bytes: ty.max_bytes(),
        density: map.density(),
        nonzero_pages: plan.n_nonzero_pages(),
        baked: plan.n_baked(),
        replayed: plan.n_replayed(),
        overlapping: plan.extent().map_or(0, |it| it.n_overlapping),
        out_of_order: plan.extent().map_or(0, |it| it.n_out_of_order),
    }
}

fn why<'s>(survey: &'s ModuleSurvey<'_>, reason: &'s SegmentReason) -> Why<'s> {
    let import_of = |global| globals::import_name(&survey.module, global).map(import);
    let import = match reason.reason {
        Reason::DynamicOffset { global } => import_of(global),
        _ => None,
    };
    Why { reason, import }
}

fn import(name: ImportName<'_>) -> Import<'_> {
    Import {
        module: name.module,
        name: name.name,
    }
}
