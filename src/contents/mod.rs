//! What the memories of a module or an artifact contain at instantiation, before any segment
//! is replayed: for commands that show or compare bytes.

pub(crate) mod hex;
pub(crate) mod intervals;
mod memory;
pub(crate) mod offset;
pub(crate) mod segment;

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Range;

use wasm_meminit::analysis::entity::EntityRef;
use wasm_meminit::analysis::{
    Assumption, Decision, GlobalIndex, MemoryIndex, MemoryInitializer, Module, Plan, StartFunction,
    StartInit, StartReason, ThreadLocal, Value,
};
use wasm_meminit::image_builder::Artifact;

pub(crate) use self::memory::{Bytes, MemoryContents};
pub(crate) use self::segment::{Fate, SegmentView};

/// The initial contents of all memories of one core module.
#[derive(Debug, Default)]
pub(crate) struct Contents<'a> {
    /// The page size that images are aligned to.
    pub(crate) page_size: u64,
    pub(crate) memories: Vec<MemoryContents<'a>>,
    /// All segments of a module; of an artifact, those that it replays.
    pub(crate) segments: Vec<SegmentView<'a>>,
    /// Whether a start function runs afterwards, and may change the memories; `None` if that is not
    /// recorded.
    pub(crate) has_start: Option<bool>,
    /// What a start function does, as far as that is known.
    pub(crate) start: Option<KnownStart>,
    /// What it writes, in order; empty for an artifact.
    pub(crate) start_writes: Vec<StartWrite>,
    /// Whether an element segment may trap before any data is written.
    pub(crate) elements_may_trap: bool,
    /// What the images rely on.
    pub(crate) assumptions: Vec<Assumption>,
    /// The module; `None` for an artifact.
    pub(crate) module: Option<Module<'a>>,
    /// Why what the start function copies is in no image, if that was asked for.
    pub(crate) start_left: Option<StartReason>,
    /// Whether `segments` lacks those that are in images.
    pub(crate) is_artifact: bool,
}

/// A start function as wasm-ld writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownStart {
    pub(crate) memory: u32,
    /// The address of the flag that says whether it has run.
    pub(crate) flag: u64,
    /// What it fills with zeros; empty for an artifact.
    pub(crate) zeroed: Vec<Range<u64>>,
    /// The storage of the first thread, if the program has any.
    pub(crate) thread_local: Option<ThreadLocal>,
    /// Whether its writes are in an image.
    pub(crate) is_baked: bool,
}

/// A write of a start function.
#[derive(Clone, Debug)]
pub(crate) enum StartWrite {
    /// The segment with this index.
    Segment(u32),
    Zeros(Range<u64>),
}

impl<'a> Contents<'a> {
    /// Returns the contents that a plan gives a module's memories.
    pub(crate) fn of_module(module: Module<'a>, plan: &Plan<'a>) -> Self {
        let mut memories: Vec<MemoryContents<'a>> = Vec::new();
        for (index, memory) in plan.memories() {
            let is_promised =
                plan.policy().assumes_zeroed_imports() && !module.is_imported_twice(index);
            let is_zeroed = !memory.is_imported() || is_promised;
            memories.push(MemoryContents {
                ty: memory.ty(),
                size: module.memory_size(index),
                is_imported: memory.is_imported(),
                import: module.memories().get(index).and_then(|it| it.import),
                is_zeroed,
                decision: memory.decision(),
                layout: memory.runs().to_vec(),
                pieces: memory.pieces().to_vec(),
                written: Vec::new(),
                n_replayed: 0,
                n_unplaced: 0,
                unplaced_bytes: 0,
            });
        }
        let start = match plan.start() {
            Ok(start) => Some(start.clone()),
            Err(_) => module.start_init().ok(),
        };
        let mut segments = segment::of_module(&module, plan);
        let copied = start.iter().flat_map(|start| {
            let memory = start.memory().as_u32();
            start.writes().iter().map(move |it| (memory, *it))
        });
        for (memory, (segment, addr)) in copied {
            if let Some(view) = segments.get_mut(segment.index()) {
                (view.memory, view.addr) = (Some(memory), Some(addr));
            }
        }
        for (nth, it) in segments.iter().enumerate() {
            let Some(memory) = it.memory.and_then(|at| memories.get_mut(at as usize)) else {
                continue;
            };
            memory.add(nth, it);
        }
        if let Ok(start) = plan.start()
            && let Some(memory) = memories.get_mut(start.memory().index())
        {
            memory.add_flag(start.flag());
        }
        // It then finds the flag set, and writes nothing.
        let is_done =
            plan.start().is_ok() && plan.start_function() != StartFunction::WritesStripped;
        Self {
            page_size: plan.page_size().bytes(),
            memories,
            segments,
            has_start: Some(module.start().is_some() && !is_done),
            start_writes: start.as_ref().map(start_writes).unwrap_or_default(),
            start: start.map(|it| KnownStart {
                memory: it.memory().as_u32(),
                flag: it.flag(),
                zeroed: it.zeroed().to_vec(),
                thread_local: it.thread_local(),
                is_baked: plan.start().is_ok(),
            }),
            elements_may_trap: plan.elements_may_trap(),
            assumptions: plan.assumptions().to_vec(),
            module: Some(module),
            start_left: start_left(plan),
            is_artifact: false,
        }
    }

    /// Returns the contents that an artifact gives a module's memories.
    pub(crate) fn of_artifact(artifact: &'a Artifact<'_>) -> Self {
        let assumptions: Vec<Assumption> = artifact.assumptions().collect();
        let mut zeroed: BTreeSet<MemoryIndex> = BTreeSet::new();
        let mut values: BTreeMap<GlobalIndex, Value> = BTreeMap::new();
        for it in &assumptions {
            match *it {
                Assumption::ZeroedMemory { memory, .. } => {
                    zeroed.insert(memory);
                }
                Assumption::GlobalValue { global, value, .. } => {
                    values.insert(global, value);
                }
                _ => {}
            }
        }
        let value = |global: GlobalIndex| values.get(&global).copied();
        let replay: Vec<MemoryInitializer<'_>> = artifact.replay().collect();
        let segments: Vec<SegmentView<'a>> = replay
            .into_iter()
            .map(|it| {
                let memory = artifact.memories().get(it.memory_index.index());
                let ty = memory.map(|it| it.ty());
                let addr = ty.and_then(|ty| it.offset.eval(ty.index_type, &value).ok());
                SegmentView {
                    index: it.segment.as_u32(),
                    name: None,
                    memory: Some(it.memory_index.as_u32()),
                    addr,
                    offset: addr.is_none().then_some(it.offset),
                    data: it.data,
                    fate: Fate::Replayed(None),
                }
            })
            .collect();
        let mut memories = Vec::new();
        for (nth, memory) in artifact.memories().iter().enumerate() {
            let index = MemoryIndex::new(nth);
            let image = artifact.image(index);
            let layout = image.map_or(&[][..], |it| it.layout()).to_vec();
            let is_baked = !layout.is_empty();
            let mut contents = MemoryContents {
                ty: memory.ty(),
                size: memory.ty().min_bytes(),
                is_imported: memory.is_imported(),
                import: None,
                is_zeroed: !memory.is_imported() || is_baked || zeroed.contains(&index),
                decision: Decision::None,
                pieces: image.map_or(Vec::new(), |it| it.runs().collect()),
                written: Vec::new(),
                layout,
                n_replayed: 0,
                n_unplaced: 0,
                unplaced_bytes: 0,
            };
            contents.add_runs();
            if let Some(start) = artifact.start().filter(|it| it.memory == index) {
                contents.add_flag(start.flag);
            }
            memories.push(contents);
        }
        for (nth, it) in segments.iter().enumerate() {
            if let Some(memory) = it.memory.and_then(|at| memories.get_mut(at as usize)) {
                memory.add(nth, it);
            }
        }
        for memory in &mut memories {
            memory.decision = memory.recorded_decision();
        }
        Self {
            page_size: artifact.page_size().bytes(),
            memories,
            segments,
            // With the flag set, the function writes nothing.
            has_start: artifact.start().map(|it| !it.is_done),
            start: artifact.start().map(|it| KnownStart {
                memory: it.memory.as_u32(),
                flag: it.flag,
                zeroed: Vec::new(),
                thread_local: it.thread_local,
                is_baked: true,
            }),
            start_writes: Vec::new(),
            elements_may_trap: artifact.elements_may_trap(),
            assumptions,
            module: None,
            start_left: None,
            is_artifact: true,
        }
    }
}

/// Returns what a start function writes, in order.
fn start_writes(start: &StartInit) -> Vec<StartWrite> {
    let mut zeroed = start.zeroed().iter().zip(start.zeroed_after()).peekable();
    let mut writes = Vec::new();
    for (nth, (segment, _)) in start.writes().iter().enumerate() {
        while let Some((range, _)) = zeroed.next_if(|it| *it.1 <= nth) {
            writes.push(StartWrite::Zeros(range.clone()));
        }
        writes.push(StartWrite::Segment(segment.as_u32()));
    }
    writes.extend(zeroed.map(|it| StartWrite::Zeros(it.0.clone())));
    writes
}

/// Returns why what the start function copies is in no image, if the policy asks for it.
fn start_left(plan: &Plan<'_>) -> Option<StartReason> {
    let is_asked = plan.policy().start_function() != StartFunction::Unchanged;
    let why = plan.start().err().copied();
    why.filter(|it| is_asked && *it != StartReason::Nothing)
}
