//! `inspect --json`: the report in a documented, versioned format.
//!
//! `docs/inspect-json.md` documents each field. Long lists have one line per entry, and
//! nothing is repeated, so that even the report of a hostile module is only a small multiple
//! of that module's size.

use alloc::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use wasm_meminit::analysis::{
    Decision, IndexType, MemoryIndex, Reason, Run, StartFunction, StartReason, ThreadLocal,
};

use crate::contents::Fate;
use crate::input::globals;
use crate::report::headline;
use crate::report::instances::{self, Source};
use crate::report::json_file::{self, File, Finding, Hint, TOOL, Tool};
use crate::report::map::{self, MemoryMap};
use crate::report::module::{ModuleSurvey, StartSurvey};
use crate::report::reasons::{self, Group};
use crate::report::require;
use crate::report::segments::{self, SegmentRow};
use crate::report::survey::Survey;

/// The version of the format.
pub(crate) const FORMAT: u32 = 3;

/// The most memories of one file that are listed. No engine accepts a module with more than
/// 100; only a file made for the purpose exceeds this.
pub(crate) const MAX_MEMORIES: usize = 1000;

type Result<T> = core::result::Result<T, serde_json::Error>;

/// An entry that is printed on one line.
type Line = Box<RawValue>;

#[derive(Serialize)]
struct Report<'s> {
    format: u32,
    tool: Tool<'static>,
    file: File<'s>,
    headline: Headline,
    modules: Vec<Module<'s>>,
    instances: Vec<Line>,
    omitted_instances: u64,
    policy: &'s str,
    host_page_size: u64,
    hint: Option<Hint<'s>>,
    findings: Vec<Finding<'s>>,
}

/// The first figures, and the sentence that the text report shows.
#[derive(Serialize)]
pub(super) struct Headline {
    text: String,
    verdict: &'static str,
    data_bytes: u64,
    in_images: u64,
    passive_bytes: u64,
    image_bytes: u64,
    host_pages: u64,
    baked: u64,
    replayed: u64,
    left_to_start_function: u64,
}

impl Headline {
    pub(super) fn new(it: &headline::Headline, page_size: u64) -> Self {
        Self {
            text: it.sentence(page_size),
            verdict: it.verdict().word(),
            data_bytes: it.data_bytes,
            in_images: it.in_images,
            passive_bytes: it.passive_bytes,
            image_bytes: it.image_bytes,
            host_pages: it.image_bytes / page_size.max(1),
            baked: it.n_baked,
            replayed: it.n_replayed,
            left_to_start_function: it.n_left_to_start,
        }
    }
}

#[derive(Serialize)]
struct Module<'s> {
    name: Option<&'s str>,
    sha256: Option<String>,
    counts: Line,
    elements_may_trap: bool,
    memories: Vec<Line>,
    omitted_memories: usize,
    imports: Vec<Imports<'s>>,
    reasons: Vec<Line>,
    start_function: Option<Start>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<Vec<Line>>,
}

#[derive(Serialize)]
struct Start {
    policy: StartFunction,
    baked: bool,
    why_not: Option<StartReason>,
    writes: Option<Line>,
}

#[derive(Serialize)]
struct Writes {
    memory: u32,
    flag: u64,
    segments: usize,
    bytes: u64,
    thread_local: Option<ThreadLocal>,
}

/// One instance of a core module of a component.
#[derive(Serialize)]
struct Instance {
    component: usize,
    index: usize,
    module: Option<usize>,
    memories: Vec<InstanceMemory>,
}

/// A memory of an instance: its own, or that of another instance.
#[derive(Serialize)]
struct InstanceMemory {
    index: usize,
    source: &'static str,
    instance: Option<usize>,
    memory: Option<usize>,
}

/// One data segment.
#[derive(Serialize)]
struct Segment<'s> {
    index: u32,
    name: Option<&'s str>,
    mode: &'static str,
    memory: Option<u32>,
    address: Option<u64>,
    length: u64,
    file_offset: Option<u64>,
    fate: &'static str,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Counts {
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
    max_bytes: Option<u64>,
    decision: Decision,
    data_bytes: u64,
    extent: Option<Addresses>,
    density: Option<f64>,
    image_bytes: u64,
    nonzero_pages: u64,
    baked: u64,
    replayed: u64,
    overlapping: u64,
    out_of_order: u64,
    runs: &'s [Run],
}

#[derive(Serialize)]
struct Addresses {
    min: u64,
    max: u64,
}

/// The imports of one module name, which the report contains once.
#[derive(Serialize)]
struct Imports<'s> {
    module: &'s str,
    memories: Vec<Line>,
    globals: Vec<Line>,
}

#[derive(Serialize)]
struct Import<'s> {
    index: u32,
    name: &'s str,
}

#[derive(Serialize)]
struct Why<'s> {
    #[serde(flatten)]
    reason: &'s Reason,
    memory: Option<u32>,
    count: u64,
    bytes: u64,
    segments: &'s [(u32, u32)],
}

/// Returns the report, with a newline at the end.
///
/// # Errors
///
/// None that input can cause; serde's interface requires one.
pub(crate) fn report(survey: &Survey<'_>, findings: &[require::Finding]) -> Result<String> {
    let mut n_left = MAX_MEMORIES;
    let modules: Result<Vec<_>> = survey
        .modules
        .iter()
        .map(|it| module(survey, it, &mut n_left))
        .collect();
    let report = Report {
        format: FORMAT,
        tool: TOOL,
        file: File::new(&survey.file),
        headline: Headline::new(&survey.headline, survey.page_size),
        modules: modules?,
        instances: survey
            .instances
            .all
            .iter()
            .map(|it| to_raw_value(&instance(it)))
            .collect::<Result<_>>()?,
        omitted_instances: survey.instances.n_omitted,
        policy: survey.policy,
        host_page_size: survey.page_size,
        hint: survey.hint.as_ref().map(Hint::new),
        findings: Finding::list(findings),
    };
    json_file::document(&report)
}

fn module<'s>(
    file: &Survey<'_>,
    survey: &'s ModuleSurvey<'_>,
    n_left: &mut usize,
) -> Result<Module<'s>> {
    let maps = map::maps(&survey.module, &survey.plan);
    let counts = Counts {
        active: survey.n_baked() + survey.n_replayed(),
        passive: survey.n_passive(),
        baked: survey.n_baked(),
        replayed: survey.n_replayed(),
    };
    let n_listed = maps.len().min(*n_left);
    *n_left -= n_listed;
    let memories = (0..).zip(&maps).take(n_listed);
    let groups = reasons::group(&survey.reasons);
    Ok(Module {
        name: survey.module.name(),
        sha256: json_file::hash(survey.sha256),
        counts: to_raw_value(&counts)?,
        elements_may_trap: survey.plan.elements_may_trap(),
        memories: memories
            .map(|(index, map)| to_raw_value(&memory(index, map)))
            .collect::<Result<_>>()?,
        omitted_memories: maps.len() - n_listed,
        imports: imports(survey, n_listed, &groups)?,
        reasons: groups
            .iter()
            .map(|it| to_raw_value(&why(it)))
            .collect::<Result<_>>()?,
        start_function: survey
            .start
            .as_ref()
            .map(|it| start(survey, it))
            .transpose()?,
        segments: file
            .has_segments
            .then(|| segments(file, survey))
            .transpose()?,
    })
}

fn instance(it: &instances::Instance) -> Instance {
    let memory = |(index, source): (usize, &Source)| {
        let (source, instance, memory) = match *source {
            Source::Own => ("own", None, None),
            Source::Of { instance, memory } => ("instance", Some(instance), Some(memory)),
            Source::Unknown => ("unknown", None, None),
        };
        InstanceMemory {
            index,
            source,
            instance,
            memory,
        }
    };
    Instance {
        component: it.component,
        index: it.index,
        module: it.module,
        memories: it.memories.iter().enumerate().map(memory).collect(),
    }
}

fn segments(file: &Survey<'_>, survey: &ModuleSurvey<'_>) -> Result<Vec<Line>> {
    let rows = segments::rows(survey, file.binary);
    let line = |it: &SegmentRow<'_>| {
        let reason = match it.segment.fate {
            Fate::Replayed(Some(reason)) => Some(reason_word(&reason)?),
            _ => None,
        };
        to_raw_value(&Segment {
            index: it.segment.index,
            name: it.segment.name,
            mode: it.mode(),
            memory: it.segment.memory,
            address: it.segment.addr,
            length: it.segment.len(),
            file_offset: it.file_offset,
            fate: it.fate(),
            reason,
        })
    };
    rows.iter().map(line).collect()
}

/// Returns the word for a kind of reason; its details are in `reasons`.
pub(crate) fn reason_word(reason: &Reason) -> Result<String> {
    let value = serde_json::to_value(reason)?;
    Ok(value["reason"].as_str().unwrap_or_default().to_owned())
}

fn start(survey: &ModuleSurvey<'_>, it: &StartSurvey) -> Result<Start> {
    let len = |segment| survey.module.segments()[segment].data.len() as u64;
    let writes = it.init.as_ref().ok().map(|init| Writes {
        memory: init.memory().as_u32(),
        flag: init.flag(),
        segments: init.writes().len(),
        bytes: init.writes().iter().map(|it| len(it.0)).sum(),
        thread_local: init.thread_local(),
    });
    Ok(Start {
        policy: survey.plan.start_function(),
        baked: it.why_not.is_none(),
        why_not: it.why_not,
        writes: writes.map(|it| to_raw_value(&it)).transpose()?,
    })
}

fn memory<'s>(index: u32, map: &MemoryMap<'s, '_>) -> Memory<'s> {
    let plan = map.plan;
    let ty = plan.ty();
    Memory {
        index,
        imported: plan.is_imported(),
        index_type: ty.index_type,
        shared: ty.shared,
        page_size: ty.page_size.bytes(),
        min_bytes: ty.min_bytes(),
        max_bytes: ty.max_bytes(),
        decision: plan.decision(),
        data_bytes: map.data_bytes,
        extent: map.extent().map(|it| Addresses {
            min: it.start,
            max: it.end,
        }),
        density: map.density(),
        image_bytes: plan.image_bytes(),
        nonzero_pages: plan.n_nonzero_pages(),
        baked: plan.n_baked() + plan.n_baked_passive(),
        replayed: plan.n_replayed(),
        overlapping: plan.extent().map_or(0, |it| it.n_overlapping),
        out_of_order: plan.extent().map_or(0, |it| it.n_out_of_order),
        runs: plan.runs(),
    }
}

/// Returns the names of the listed memories, and of the globals that reasons name.
fn imports<'s>(
    survey: &'s ModuleSurvey<'_>,
    n_memories: usize,
    groups: &[Group],
) -> Result<Vec<Imports<'s>>> {
    type Lists = (Vec<Line>, Vec<Line>);
    let mut modules: BTreeMap<&str, Lists> = BTreeMap::new();
    let memories = survey.module.memories().iter().take(n_memories);
    for (index, memory) in memories {
        if let Some(import) = memory.import {
            let line = line(index.as_u32(), import.name)?;
            modules.entry(import.module).or_default().0.push(line);
        }
    }
    let mut named: Vec<_> = groups.iter().filter_map(Group::global).collect();
    named.extend(survey.start.as_ref().and_then(StartSurvey::unknown_global));
    named.sort_unstable();
    named.dedup();
    for global in named {
        if let Some(import) = globals::import_name(&survey.module, global) {
            let line = line(global.as_u32(), import.name)?;
            modules.entry(import.module).or_default().1.push(line);
        }
    }
    let modules = modules.into_iter();
    Ok(modules
        .map(|(module, (memories, globals))| Imports {
            module,
            memories,
            globals,
        })
        .collect())
}

fn line(index: u32, name: &str) -> Result<Line> {
    to_raw_value(&Import { index, name })
}

fn why(group: &Group) -> Why<'_> {
    Why {
        reason: group.reason(),
        memory: group.memory().map(MemoryIndex::as_u32),
        count: group.n_segments(),
        bytes: group.n_bytes(),
        segments: group.ranges(),
    }
}
