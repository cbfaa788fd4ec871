//! What the memories of a module or an artifact contain at instantiation, before any segment
//! is replayed: for commands that show or compare bytes.

pub(crate) mod hex;
mod intervals;
mod memory;
pub(crate) mod segment;

use alloc::collections::BTreeSet;

use wasm_meminit::analysis::entity::EntityRef;
use wasm_meminit::analysis::{
    Assumption, Decision, MemoryIndex, MemoryInitializer, Module, Plan, StartFunction, StartReason,
};
use wasm_meminit::image_builder::Artifact;

pub(crate) use self::memory::{Bytes, MemoryContents};
pub(crate) use self::segment::{Fate, SegmentView};

/// The initial contents of all memories of one core module.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    /// The page size that images are aligned to.
    pub(crate) page_size: u64,
    pub(crate) memories: Vec<MemoryContents<'a>>,
    /// All segments of a module; of an artifact, those that it replays.
    pub(crate) segments: Vec<SegmentView<'a>>,
    /// Whether a start function runs afterwards, and may change the memories.
    pub(crate) has_start: bool,
    /// Why what the start function copies is in no image, if that was asked for.
    pub(crate) start_left: Option<StartReason>,
    /// Whether `segments` lacks those that are in images.
    pub(crate) is_artifact: bool,
}

impl<'a> Contents<'a> {
    /// Returns the contents that a plan gives a module's memories.
    pub(crate) fn of_module(module: &Module<'a>, plan: &Plan<'a>) -> Self {
        let mut memories: Vec<MemoryContents<'a>> = Vec::new();
        for (index, memory) in plan.memories() {
            let is_zeroed = !memory.is_imported() || plan.policy().assumes_zeroed_imports();
            memories.push(MemoryContents {
                ty: memory.ty(),
                size: module.memory_size(index),
                is_imported: memory.is_imported(),
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
        let segments = segment::of_module(module, plan);
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
            has_start: module.start().is_some() && !is_done,
            start_left: start_left(plan),
            is_artifact: false,
        }
    }

    /// Returns the contents that an artifact gives a module's memories.
    pub(crate) fn of_artifact(artifact: &'a Artifact<'_>) -> Self {
        let assumptions = artifact.assumptions();
        let zeroed: BTreeSet<MemoryIndex> = assumptions
            .filter_map(|it| match it {
                Assumption::ZeroedMemory { memory, .. } => Some(memory),
                _ => None,
            })
            .collect();
        let replay: Vec<MemoryInitializer<'_>> = artifact.replay().collect();
        let segments: Vec<SegmentView<'a>> = replay
            .into_iter()
            .map(|it| {
                let memory = artifact.memories().get(it.memory_index.index());
                let ty = memory.map(|it| it.ty());
                let addr = ty.and_then(|ty| it.offset.eval(ty.index_type, &|_| None).ok());
                SegmentView {
                    index: it.segment.as_u32(),
                    name: None,
                    memory: Some(it.memory_index.as_u32()),
                    addr,
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
            has_start: false,
            start_left: None,
            is_artifact: true,
        }
    }
}

/// Returns why what the start function copies is in no image, if the policy asks for it.
fn start_left(plan: &Plan<'_>) -> Option<StartReason> {
    let is_asked = plan.policy().start_function() != StartFunction::Unchanged;
    let why = plan.start().err().copied();
    why.filter(|it| is_asked && *it != StartReason::Nothing)
}
