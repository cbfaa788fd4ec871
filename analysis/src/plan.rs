//! The decision, per memory: what an image can hold, and what must be replayed.
//!
//! Active segments run in order; each is checked against its memory's size and
//! then written whole; the first that fails traps, and what ran before it stays
//! written. So a segment may be *baked* (put in the image) if nothing that may trap
//! comes before it, its memory is known to be zero at the start, and it is certain
//! to be in bounds. Core specification, "Instantiation".

use alloc::vec::Vec;

use cranelift_entity::PrimaryMap;
use serde::Serialize;

use crate::assumption::{Assumption, Grounds};
use crate::const_expr::EvalError;
use crate::fingerprint::Fingerprint;
use crate::initialization::{fits, len};
use crate::policy::Layout;
use crate::runs::{join, nonzero_pages, to_runs};
use crate::visible::{Piece, visible};
use crate::{
    Extent, HostPageSize, MemoryIndex, MemoryInitializer, MemoryType, Module, Policy, Reason, Run,
    SegmentReason, StartFunction, StartInit, StartReason, start_plan,
};

/// What an image of each memory holds, what is replayed, and why.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    memories: PrimaryMap<MemoryIndex, MemoryPlan<'a>>,
    replay: Vec<MemoryInitializer<'a>>,
    reasons: Vec<SegmentReason>,
    elements_may_trap: bool,
    start: Result<StartInit, StartReason>,
    policy: Policy,
    assumptions: Vec<Assumption>,
    fingerprint: Fingerprint,
}

/// What the image of one memory holds.
#[derive(Clone, Debug)]
pub struct MemoryPlan<'a> {
    ty: MemoryType,
    imported: bool,
    decision: Decision,
    extent: Option<Extent>,
    n_nonzero_pages: u64,
    runs: Vec<Run>,
    pieces: Vec<Piece<'a>>,
    n_baked: u64,
    n_baked_passive: u64,
    n_replayed: u64,
}

/// How one memory gets its first state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Nothing is written to it before the program runs, as far as is known.
    None,
    /// All of it is in the image.
    Static,
    /// Some segments are in the image, others are replayed.
    Hybrid,
    /// Every segment is replayed.
    Segmented,
}

impl<'a> Plan<'a> {
    /// Decides for every memory of a module.
    ///
    /// Reads each data byte at most twice: to find pages that are all zero, and to tie the
    /// plan to the module.
    ///
    /// ```
    /// # #[cfg(feature = "parse")] {
    /// use wasm_meminit_analysis::{Module, Plan, Policy, Reason};
    ///
    /// let wasm = wat::parse_str(
    ///     r#"(module
    ///          (import "env" "base" (global $base i32))
    ///          (memory 1)
    ///          (data (i32.const 0) "certain")
    ///          (data (global.get $base) "only the host knows where"))"#,
    /// ).unwrap();
    /// let plan = Plan::new(&Module::parse(&wasm).unwrap(), &Policy::default());
    /// assert!(matches!(plan.reasons()[0].reason, Reason::DynamicOffset { .. }));
    /// # }
    /// ```
    pub fn new(module: &Module<'a>, policy: &Policy) -> Self {
        let mut draft = Draft::classify(module, policy);
        let mut start = start_plan::bake(module, policy, &draft);
        let all_or_nothing = matches!(policy.layout, Layout::SingleRun { .. });
        let mut layouts: PrimaryMap<MemoryIndex, _> =
            PrimaryMap::with_capacity(module.memories().len());
        for (index, memory) in module.memories() {
            let mut segments = draft.baked_pieces(module, index);
            if let Ok(start) = &start {
                start_plan::add_pieces(module, policy, start, index, &mut segments);
            }
            let layout = MemoryLayout::of(segments, memory.ty, policy);
            if let Err(reason) = layout.verdict {
                draft.replay_memory(index, reason);
                if start.as_ref().is_ok_and(|it| it.memory() == index) {
                    start = Err(StartReason::Policy);
                }
            }
            layouts.push(layout);
        }
        if all_or_nothing {
            draft.all_or_nothing();
        }
        draft.finish(module, policy, layouts, start)
    }

    /// The page size that runs are aligned to.
    pub const fn page_size(&self) -> HostPageSize {
        self.policy.page_size
    }

    /// The policy that it was made by.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Everything about the host that it rests on, each fact once.
    ///
    /// Of what the caller supplied, only what a decision needed: a value that no baked
    /// segment depends on is not listed.
    pub fn assumptions(&self) -> &[Assumption] {
        &self.assumptions
    }

    /// Whether it was made for this module: the same memories, globals and segments, with
    /// the same bytes. Which values the host supplied to either makes no difference.
    ///
    /// Reads every data byte once.
    pub fn matches(&self, module: &Module<'_>) -> bool {
        self.fingerprint == Fingerprint::of(module, self.start.as_ref().ok())
    }

    /// Every memory of the module, imported ones first.
    pub const fn memories(&self) -> &PrimaryMap<MemoryIndex, MemoryPlan<'a>> {
        &self.memories
    }

    /// The active segments that must still be replayed, in order.
    pub fn replay(&self) -> &[MemoryInitializer<'a>] {
        &self.replay
    }

    /// One entry for each active segment that is replayed, in order.
    pub fn reasons(&self) -> &[SegmentReason] {
        &self.reasons
    }

    /// Whether nothing is baked although there are segments: every start replays all.
    pub fn is_segmented(&self) -> bool {
        !self.replay.is_empty() && self.memories.values().all(|it| it.n_baked == 0)
    }

    /// What is baked of the segments that the start function writes, or why nothing is.
    ///
    /// # Errors
    ///
    /// [`StartReason`], to be reported; nothing has failed.
    pub const fn start(&self) -> Result<&StartInit, &StartReason> {
        self.start.as_ref()
    }

    /// What becomes of those segments, as the policy says.
    pub const fn start_function(&self) -> StartFunction {
        self.policy.start_function
    }

    /// Whether an active element segment may trap; see
    /// [`Module::elements_may_trap`].
    pub const fn elements_may_trap(&self) -> bool {
        self.elements_may_trap
    }
}

impl<'a> MemoryPlan<'a> {
    /// The memory's type. Where the plan rests on an
    /// [assumed size](Assumption::MemorySize), that is its minimum.
    pub const fn ty(&self) -> MemoryType {
        self.ty
    }

    /// Whether the module imports it.
    pub const fn is_imported(&self) -> bool {
        self.imported
    }

    /// How it gets its first state.
    pub const fn decision(&self) -> Decision {
        self.decision
    }

    /// Which addresses its segments with a certain place write; `None` without any.
    ///
    /// Counts segments that are certain but replayed for a reason of the policy.
    pub const fn extent(&self) -> Option<Extent> {
        self.extent
    }

    /// Host pages with at least one byte other than zero, each once.
    pub const fn n_nonzero_pages(&self) -> u64 {
        self.n_nonzero_pages
    }

    /// The runs of its image, in address order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The bytes that the runs hold, in address order, without overlaps; all else in
    /// the runs is zero. Pieces outside every run are all zero.
    pub fn pieces(&self) -> &[Piece<'a>] {
        &self.pieces
    }

    /// Bytes of all runs.
    pub fn image_bytes(&self) -> u64 {
        self.runs
            .iter()
            .fold(0, |sum, run| sum.saturating_add(run.len))
    }

    /// How many active segments are in the image.
    pub const fn n_baked(&self) -> u64 {
        self.n_baked
    }

    /// How many passive segments are in the image, which the start function would write.
    pub const fn n_baked_passive(&self) -> u64 {
        self.n_baked_passive
    }

    /// How many active segments are replayed.
    pub const fn n_replayed(&self) -> u64 {
        self.n_replayed
    }
}

/// What is to become of one active segment.
#[derive(Clone, Copy)]
pub(crate) enum Fate {
    /// Into the image, at this address.
    Bake(u64),
    Replay(Reason),
}

/// The active segments of a module with the fate of each, while a plan is made.
pub(crate) struct Draft<'a> {
    pub(crate) list: Vec<(MemoryInitializer<'a>, Fate)>,
}

impl<'a> Draft<'a> {
    fn classify(module: &Module<'a>, policy: &Policy) -> Self {
        let mut barrier = None;
        let mut trap = None;
        let mut list = Vec::with_capacity(module.segments().len());
        for initializer in module.active_segments() {
            let (fate, may_trap) = place(module, policy, &initializer);
            let fate = match (fate, barrier) {
                (Fate::Bake(_), Some(barrier)) => Fate::Replay(Reason::BehindBarrier { barrier }),
                (fate, _) => fate,
            };
            if may_trap && barrier.is_none() {
                barrier = Some(initializer.segment);
            }
            let defined = module
                .defined_memory_index(initializer.memory_index)
                .is_some();
            if let (Fate::Replay(Reason::OutOfBounds { .. }), true, None) = (fate, defined, trap) {
                trap = Some(initializer.segment);
            }
            list.push((initializer, fate));
        }
        if let Some(at) = trap {
            for (_, fate) in &mut list {
                if let Fate::Bake(_) = fate {
                    *fate = Fate::Replay(Reason::AlwaysTraps { at });
                }
            }
        }
        Self { list }
    }

    /// The certain segments of one memory that no barrier stops.
    fn baked_pieces(&self, module: &Module<'a>, memory: MemoryIndex) -> Vec<Piece<'a>> {
        let pieces = self.list.iter().filter_map(|(it, fate)| match fate {
            Fate::Bake(addr) if it.memory_index == memory => Some(Piece {
                addr: *addr,
                data: it.data,
            }),
            _ => None,
        });
        let mut list = Vec::new();
        if module.memories().len() == 1 {
            list.reserve_exact(self.list.len());
        }
        list.extend(pieces);
        list
    }

    fn replay_memory(&mut self, memory: MemoryIndex, reason: Reason) {
        for (it, fate) in &mut self.list {
            if let (true, Fate::Bake(_)) = (it.memory_index == memory, *fate) {
                *fate = Fate::Replay(reason);
            }
        }
    }

    fn all_or_nothing(&mut self) {
        let first = self
            .list
            .iter()
            .find(|(_, fate)| matches!(fate, Fate::Replay(_)));
        let Some(because) = first.map(|(it, _)| it.segment) else {
            return;
        };
        for (_, fate) in &mut self.list {
            if let Fate::Bake(_) = fate {
                *fate = Fate::Replay(Reason::AllOrNothing { because });
            }
        }
    }

    fn finish(
        self,
        module: &Module<'a>,
        policy: &Policy,
        layouts: PrimaryMap<MemoryIndex, MemoryLayout<'a>>,
        start: Result<StartInit, StartReason>,
    ) -> Plan<'a> {
        let elements_may_trap = module.elements_may_trap();
        let grounds = Grounds::of(
            module,
            policy.start_function,
            &self,
            start.as_ref().ok(),
            elements_may_trap,
        );
        let mut memories: PrimaryMap<MemoryIndex, MemoryPlan<'a>> =
            PrimaryMap::with_capacity(layouts.len());
        for ((index, memory), layout) in module
            .memories()
            .iter()
            .zip(layouts.into_iter().map(|(_, it)| it))
        {
            let mut ty = memory.ty;
            if let Some(bytes) = grounds.sizes.get(index).copied().flatten() {
                // Whole pages: it was checked.
                ty.min = bytes.checked_div(ty.page_size.bytes()).unwrap_or(ty.min);
            }
            memories.push(MemoryPlan {
                ty,
                imported: memory.import.is_some(),
                decision: Decision::None,
                extent: layout.extent,
                n_nonzero_pages: layout.n_nonzero_pages,
                runs: layout.runs,
                pieces: layout.pieces,
                n_baked: 0,
                n_baked_passive: 0,
                n_replayed: 0,
            });
        }
        if let Ok(start) = &start
            && let Some(memory) = memories.get_mut(start.memory())
        {
            memory.n_baked_passive = u64::try_from(start.writes().len()).unwrap_or(u64::MAX);
        }
        let mut replay = Vec::new();
        let mut reasons = Vec::new();
        for (initializer, fate) in self.list {
            let memory = memories.get_mut(initializer.memory_index);
            match fate {
                Fate::Bake(_) => {
                    if let Some(memory) = memory {
                        memory.n_baked = memory.n_baked.saturating_add(1);
                    }
                }
                Fate::Replay(reason) => {
                    if let Some(memory) = memory {
                        memory.n_replayed = memory.n_replayed.saturating_add(1);
                    }
                    reasons.push(SegmentReason {
                        segment: initializer.segment,
                        memory: Some(initializer.memory_index),
                        len: len(initializer.data),
                        reason,
                    });
                    replay.push(initializer);
                }
            }
        }
        for memory in memories.values_mut() {
            let is_baked = memory.n_baked != 0 || memory.n_baked_passive != 0;
            memory.decision = match (is_baked, memory.n_replayed) {
                (false, 0) => Decision::None,
                (false, _) => Decision::Segmented,
                (true, 0) => Decision::Static,
                (true, _) => Decision::Hybrid,
            };
            if !is_baked {
                memory.runs = Vec::new();
                memory.pieces = Vec::new();
            }
        }
        let fingerprint = Fingerprint::of(module, start.as_ref().ok());
        Plan {
            memories,
            replay,
            reasons,
            elements_may_trap,
            start,
            policy: *policy,
            assumptions: grounds.list,
            fingerprint,
        }
    }
}

/// Where one segment goes, looked at alone, and whether it may trap.
fn place(module: &Module<'_>, policy: &Policy, it: &MemoryInitializer<'_>) -> (Fate, bool) {
    let Some(memory) = module.memories().get(it.memory_index) else {
        // Not for a module from this crate: the index was checked.
        return (Fate::Replay(Reason::ImportedMemory), true);
    };
    let imported = memory.import.is_some();
    let Some(min_bytes) = module.memory_size(it.memory_index) else {
        return (Fate::Replay(Reason::TooLarge), true);
    };
    let single = matches!(policy.layout, Layout::SingleRun { .. });
    let addr = match it
        .offset
        .eval(memory.ty.index_type, &|global| module.global_value(global))
    {
        Ok(addr) => addr,
        Err(EvalError::UnknownGlobal(global)) => {
            return (Fate::Replay(Reason::DynamicOffset { global }), true);
        }
        Err(_) => return (Fate::Replay(Reason::NotAConstant), true),
    };
    if !fits(addr, len(it.data), min_bytes) {
        return (
            Fate::Replay(Reason::OutOfBounds {
                offset: addr,
                min_bytes,
            }),
            true,
        );
    }
    if imported && !policy.assume_zeroed_imports {
        return (Fate::Replay(Reason::ImportedMemory), false);
    }
    if single && it.offset.as_const().is_none() {
        return (Fate::Replay(Reason::NotAConstant), false);
    }
    (Fate::Bake(addr), false)
}

/// The image of one memory, or why it gets none.
struct MemoryLayout<'a> {
    extent: Option<Extent>,
    n_nonzero_pages: u64,
    pieces: Vec<Piece<'a>>,
    runs: Vec<Run>,
    verdict: Result<(), Reason>,
}

impl<'a> MemoryLayout<'a> {
    fn of(segments: Vec<Piece<'a>>, ty: MemoryType, policy: &Policy) -> Self {
        let page_size = policy.page_size;
        let (extent, pieces) = extent_and_pieces(segments);
        let stretches = nonzero_pages(&pieces, page_size);
        let n_nonzero_pages = stretches.iter().fold(0_u64, |sum, it| {
            sum.saturating_add(it.end.saturating_sub(it.start))
        });
        let (pages, mut verdict) = match policy.layout {
            Layout::SingleRun {
                max_image_size_always_allowed,
            } => (
                join(&stretches, page_size, 0, 1),
                extent.map_or(Ok(()), |extent| {
                    reference_rule(&extent, ty, page_size, max_image_size_always_allowed)
                }),
            ),
            Layout::Runs { max_gap, max_runs } => {
                (join(&stretches, page_size, max_gap, max_runs), Ok(()))
            }
        };
        let runs = to_runs(&pages, page_size).unwrap_or_else(|| {
            verdict = verdict.and(Err(Reason::TooLarge));
            Vec::new()
        });
        let image_bytes = runs
            .iter()
            .fold(0_u64, |sum, run| sum.saturating_add(run.len));
        if policy.max_image_size < image_bytes {
            let limit = policy.max_image_size;
            verdict = verdict.and(Err(Reason::SizeLimit { image_bytes, limit }));
        }
        Self {
            extent,
            n_nonzero_pages,
            pieces,
            runs,
            verdict,
        }
    }
}

fn extent_and_pieces(segments: Vec<Piece<'_>>) -> (Option<Extent>, Vec<Piece<'_>>) {
    let pieces = visible(segments.clone());
    (Extent::of(&segments, &pieces), pieces)
}

/// When the reference makes an image of a memory with this extent.
fn reference_rule(
    extent: &Extent,
    ty: MemoryType,
    page_size: HostPageSize,
    max_image_size_always_allowed: u64,
) -> Result<(), Reason> {
    let wasm_page = ty.page_size.bytes();
    if wasm_page < page_size.bytes() {
        return Err(Reason::PageSize {
            page_size: wasm_page,
        });
    }
    let span = extent.max.saturating_sub(extent.min);
    let data_bytes = extent.data_bytes;
    if span < data_bytes.saturating_mul(2) || span < max_image_size_always_allowed {
        Ok(())
    } else {
        Err(Reason::TooSparse { span, data_bytes })
    }
}
