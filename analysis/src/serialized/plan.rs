//! The serialised form of plans. Deserialised data is untrusted: it becomes a plan only if
//! every property that consumers rely on holds.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use cranelift_entity::{EntityRef, PrimaryMap};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::initialization::{
    Checked, borrowed, borrowed_run, check_memories, check_replay, check_runs,
};
use super::sequence;
use crate::address::{fits, len};
use crate::decide::assumption::Assumption;
use crate::decide::fingerprint::{Fingerprint, Origin};
use crate::decide::layout::image_bytes;
use crate::decide::plan::{Decision, MemoryPlan, Plan};
use crate::initialization::{MemoryInitializer, StaticMemoryInitializer};
use crate::{
    Extent, HostPageSize, IndexType, MemoryIndex, MemoryType, Policy, Reason, Run, SegmentReason,
    StartFunction, StartInit, StartReason,
};

#[derive(Serialize, Deserialize)]
#[serde(rename = "Plan")]
struct Wire<'a> {
    policy: Policy,
    #[serde(borrow, deserialize_with = "sequence::deserialize")]
    memories: Vec<Memory<'a>>,
    #[serde(borrow, deserialize_with = "sequence::deserialize")]
    replay: Vec<MemoryInitializer<'a>>,
    #[serde(deserialize_with = "sequence::deserialize")]
    reasons: Cow<'a, [SegmentReason]>,
    elements_may_trap: bool,
    start: Result<StartInit, StartReason>,
    #[serde(deserialize_with = "sequence::deserialize")]
    assumptions: Cow<'a, [Assumption]>,
    fingerprint: Fingerprint,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "MemoryPlan")]
struct Memory<'a> {
    ty: MemoryType,
    imported: bool,
    extent: Option<Extent>,
    n_nonzero_pages: u64,
    runs: Cow<'a, [Run]>,
    #[serde(borrow, deserialize_with = "sequence::deserialize")]
    pieces: Vec<StaticMemoryInitializer<'a>>,
    n_baked: u64,
    n_baked_passive: u64,
}

impl Serialize for Plan<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let memories = self.memories.values().map(|it| Memory {
            ty: it.ty,
            imported: it.imported,
            extent: it.extent,
            n_nonzero_pages: it.n_nonzero_pages,
            runs: Cow::Borrowed(&it.runs),
            pieces: it.pieces.iter().map(borrowed_run).collect(),
            n_baked: it.n_baked,
            n_baked_passive: it.n_baked_passive,
        });
        let wire = Wire {
            policy: self.policy,
            memories: memories.collect(),
            replay: self.replay.iter().map(borrowed).collect(),
            reasons: Cow::Borrowed(&self.reasons),
            elements_may_trap: self.elements_may_trap,
            start: self.start.clone(),
            assumptions: Cow::Borrowed(&self.assumptions),
            fingerprint: self.origin.fingerprint(self.start.as_ref().ok()),
        };
        wire.serialize(to)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Plan<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(from)?;
        check(&wire).map_err(D::Error::custom)?;
        let mut n_replayed: PrimaryMap<MemoryIndex, u64> =
            wire.memories.iter().map(|_| 0).collect();
        for it in &wire.replay {
            if let Some(n) = n_replayed.get_mut(it.memory_index) {
                *n = n.saturating_add(1);
            }
        }
        let memories = wire.memories.into_iter().zip(n_replayed.values());
        let memories = memories.map(|(it, n_replayed)| MemoryPlan {
            decision: Decision::of(it.n_baked != 0 || it.n_baked_passive != 0, *n_replayed),
            ty: it.ty,
            imported: it.imported,
            extent: it.extent,
            n_nonzero_pages: it.n_nonzero_pages,
            runs: it.runs.into_owned(),
            pieces: it.pieces,
            n_baked: it.n_baked,
            n_baked_passive: it.n_baked_passive,
            n_replayed: *n_replayed,
        });
        Ok(Self {
            policy: wire.policy,
            memories: memories.collect(),
            replay: wire.replay,
            reasons: wire.reasons.into_owned(),
            elements_may_trap: wire.elements_may_trap,
            start: wire.start,
            assumptions: wire.assumptions.into_owned(),
            origin: Origin::Fingerprint(wire.fingerprint),
        })
    }
}

fn check(plan: &Wire<'_>) -> Checked {
    check_memories(plan.memories.len())?;
    check_replay(&plan.replay, plan.memories.len())?;
    ensure(
        plan.memories.is_sorted_by_key(|it| !it.imported),
        "an imported memory after a defined one",
    )?;
    let mut all_bytes = 0_u64;
    for memory in &plan.memories {
        check_memory(memory, &plan.policy)?;
        all_bytes = all_bytes.saturating_add(image_bytes(&memory.runs));
    }
    ensure(
        all_bytes <= plan.policy.max_image_size(),
        "images that exceed the policy's limit",
    )?;
    ensure(
        plan.reasons.len() == plan.replay.len(),
        "a number of reasons other than that of replayed segments",
    )?;
    for (it, reason) in plan.replay.iter().zip(plan.reasons.iter()) {
        let is_of_it = reason.segment == it.segment
            && reason.memory == Some(it.memory_index)
            && reason.len == len(&it.data)
            && match reason.reason {
                Reason::Passive => false,
                Reason::AfterBarrier { barrier } => barrier < it.segment,
                _ => true,
            };
        ensure(is_of_it, "a reason that belongs to another segment")?;
        let ty = plan.memories.get(it.memory_index.index()).map(|it| it.ty);
        let has_type = |ty: MemoryType| match it.offset.as_const() {
            Some(value) => value.address(ty.index_type).is_some(),
            None => true,
        };
        ensure(
            ty.is_some_and(has_type),
            "an offset whose type differs from its memory's",
        )?;
    }
    check_start(plan)?;
    check_assumptions(plan)
}

fn ensure(holds: bool, otherwise: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn check_memory(memory: &Memory<'_>, policy: &Policy) -> Checked {
    ensure(memory.ty.is_valid(), "an invalid memory type")?;
    let is_baked = memory.n_baked != 0 || memory.n_baked_passive != 0;
    ensure(
        is_baked || (memory.runs.is_empty() && memory.pieces.is_empty()),
        "an image without baked segments",
    )?;
    let page_size = policy.page_size();
    ensure(
        memory.extent.is_none_or(|it| {
            is_extent(&it) && is_in_bounds(&it, memory) && holds(&it, &memory.pieces)
        }),
        "an extent that no segments have",
    )?;
    let n_pages = memory.extent.map_or(0, |it| n_pages(&it, page_size));
    ensure(
        memory.n_nonzero_pages <= n_pages && (memory.extent.is_some() || memory.pieces.is_empty()),
        "pages that no segment writes to",
    )?;
    let is_run = |run: &Run| {
        run.len != 0
            && page_size.is_aligned(run.addr)
            && page_size.is_aligned(run.len)
            && run.addr.checked_add(run.len).is_some()
    };
    ensure(
        memory.runs.iter().all(is_run)
            && memory.runs.is_sorted_by(|a, b| a.end() < b.addr)
            && memory.runs.len() <= policy.max_runs(),
        "runs that violate the policy",
    )?;
    check_runs(&memory.pieces)?;
    if memory.runs.is_empty() && memory.pieces.is_empty() {
        return Ok(());
    }
    let Some(min_bytes) = memory.ty.min_bytes() else {
        return Err("an image of a memory of 2^64 bytes or more");
    };
    // If rounding up overflows, every aligned end below 2^64 is in bounds.
    let last = page_size.round_up(min_bytes).unwrap_or(u64::MAX);
    ensure(
        memory.runs.last().is_none_or(|it| it.end() <= last)
            && memory
                .pieces
                .iter()
                .all(|it| fits(it.addr, len(&it.data), min_bytes)),
        "an image larger than its memory",
    )?;
    ensure(
        is_within_runs(&memory.pieces, &memory.runs),
        "non-zero bytes outside every run",
    )
}

/// Returns whether segments with this extent can exist. The first segment never overlaps
/// another and is always in order.
const fn is_extent(it: &Extent) -> bool {
    it.written_bytes != 0
        && it.written_bytes <= it.max.saturating_sub(it.min)
        && it.written_bytes <= it.data_bytes
        && it.n_segments <= it.data_bytes
        && it.n_overlapping < it.n_segments
        && it.n_out_of_order < it.n_segments
}

/// Returns whether segments with this extent are in bounds: within a memory that the module defines,
/// or one that the host may supply.
fn is_in_bounds(it: &Extent, memory: &Memory<'_>) -> bool {
    let end = match (memory.imported, memory.ty.index_type) {
        (false, _) => memory.ty.min_bytes(),
        (true, IndexType::I32) => memory.ty.max_bytes().or(Some(1 << 32)),
        (true, IndexType::I64) => memory.ty.max_bytes().or(Some(u64::MAX)),
    };
    end.is_some_and(|end| it.max <= end)
}

/// Returns whether these pieces, which are in address order, lie within the extent.
fn holds(it: &Extent, pieces: &[StaticMemoryInitializer<'_>]) -> bool {
    pieces.first().is_none_or(|first| it.min <= first.addr)
        && pieces.last().is_none_or(|last| last.end() <= it.max)
}

/// Returns the number of host pages that an extent touches, or of its written bytes if fewer.
fn n_pages(it: &Extent, page_size: HostPageSize) -> u64 {
    let page = |addr: u64| addr.checked_div(page_size.bytes()).unwrap_or(0);
    let last = page(it.max.saturating_sub(1));
    let n_pages = last.saturating_sub(page(it.min)).saturating_add(1);
    n_pages.min(it.written_bytes)
}

/// Returns whether all non-zero bytes of `pieces` lie within `runs`, both in address order.
fn is_within_runs(pieces: &[StaticMemoryInitializer<'_>], runs: &[Run]) -> bool {
    let mut runs = runs.iter().peekable();
    for piece in pieces {
        let mut rest: &[u8] = &piece.data;
        let mut at = piece.addr;
        while !rest.is_empty() {
            while runs.next_if(|run| run.end() <= at).is_some() {}
            // Up to the end of the run that contains `at`, or the start of the next run.
            let (until, is_in_run) = match runs.peek() {
                Some(run) if run.addr <= at => (run.end(), true),
                Some(run) => (run.addr, false),
                None => (u64::MAX, false),
            };
            let n_bytes = usize::try_from(until.saturating_sub(at)).unwrap_or(usize::MAX);
            let (here, after) = rest.split_at_checked(n_bytes).unwrap_or((rest, &[]));
            if !is_in_run && here.iter().any(|byte| *byte != 0) {
                return false;
            }
            at = at.saturating_add(len(here));
            rest = after;
        }
    }
    true
}

fn check_start(plan: &Wire<'_>) -> Checked {
    let treatment = plan.policy.start_function();
    let start = match &plan.start {
        Ok(start) if treatment != StartFunction::Unchanged => Some(start),
        Ok(_) => return Err("baked writes of a start function that the policy leaves unchanged"),
        Err(_) => None,
    };
    for (nth, memory) in (0_usize..).zip(&plan.memories) {
        let n_writes = start
            .filter(|it| it.memory.index() == nth)
            .map_or(0, |it| it.writes.len());
        ensure(
            u64::try_from(n_writes) == Ok(memory.n_baked_passive),
            "a number of baked passive segments other than the start function's",
        )?;
    }
    let Some(start) = start else { return Ok(()) };
    ensure(
        treatment != StartFunction::AlreadyInitialized || start.thread_local.is_none(),
        "thread-local storage that nobody sets up",
    )?;
    ensure(
        plan.replay.iter().all(|it| it.memory_index != start.memory),
        "a replayed segment of the start function's memory",
    )?;
    let min_bytes = plan
        .memories
        .get(start.memory.index())
        .and_then(|it| it.ty.min_bytes());
    let Some(min_bytes) = min_bytes else {
        return Err("a start function that writes to an unknown memory");
    };
    let is_within = fits(start.flag, 4, min_bytes)
        && start.writes.iter().all(|(_, addr)| *addr <= min_bytes)
        && start
            .zeroed
            .iter()
            .all(|it| it.start <= it.end && it.end <= min_bytes)
        && start.lengths.iter().all(|it| it.start <= it.end);
    ensure(
        is_within && start.flag.is_multiple_of(4),
        "a start function that writes outside its memory",
    )?;
    let n_before = &start.zeroed_after;
    ensure(
        n_before.len() == start.zeroed.len()
            && n_before.is_sorted()
            && n_before.last().is_none_or(|n| *n <= start.writes.len()),
        "writes of a start function in an impossible order",
    )
}

/// Returns kind and index: there is at most one assumption of a kind about an import.
fn key(assumption: &Assumption) -> (u8, u32) {
    match assumption {
        Assumption::GlobalValue { global, .. } => (0, global.as_u32()),
        Assumption::ZeroedMemory { memory, .. } => (1, memory.as_u32()),
        Assumption::MemorySize { memory, .. } => (2, memory.as_u32()),
        Assumption::StartFunction { memory, .. } => (3, memory.as_u32()),
    }
}

/// Checks that every listed assumption is possible and that every required one is listed.
fn check_assumptions(plan: &Wire<'_>) -> Checked {
    ensure(
        plan.assumptions.is_sorted_by(|a, b| key(a) < key(b)),
        "assumptions out of order",
    )?;
    let mut is_zeroed: Vec<bool> = plan.memories.iter().map(|_| false).collect();
    let mut is_start_listed = false;
    // A host resolves one name to one memory, so memories with one name are not distinct.
    let mut zeroed_names = BTreeSet::new();
    let imported = |index: &MemoryIndex| {
        let memory = plan.memories.get(index.index());
        memory.filter(|it| it.imported)
    };
    for it in plan.assumptions.iter() {
        let holds = match it {
            Assumption::GlobalValue { .. } => true,
            Assumption::ZeroedMemory {
                memory,
                module,
                name,
            } => {
                if let Some(is_zeroed) = is_zeroed.get_mut(memory.index()) {
                    *is_zeroed = true;
                }
                imported(memory).is_some()
                    && plan.policy.assumes_zeroed_imports()
                    && zeroed_names.insert((module, name))
            }
            Assumption::MemorySize { memory, bytes, .. } => {
                imported(memory).is_some_and(|it| it.ty.min_bytes() == Some(*bytes))
            }
            Assumption::StartFunction { memory, treatment } => {
                is_start_listed = true;
                plan.start.as_ref().is_ok_and(|it| it.memory == *memory)
                    && *treatment == plan.policy.start_function()
            }
        };
        ensure(holds, "an assumption that the plan does not rely on")?;
    }
    ensure(
        is_start_listed == plan.start.is_ok(),
        "a start function without its assumption",
    )?;
    let of_start = plan.start.as_ref().ok().map(|it| it.memory.index());
    let is_listed = |(nth, (memory, is_zeroed)): (usize, (&Memory<'_>, &bool))| {
        let is_baked = memory.n_baked != 0 || memory.n_baked_passive != 0 || of_start == Some(nth);
        *is_zeroed || !(memory.imported && is_baked)
    };
    let mut memories = (0..).zip(plan.memories.iter().zip(&is_zeroed));
    ensure(
        memories.all(is_listed),
        "an image of an imported memory that is not assumed to be zero",
    )
}
