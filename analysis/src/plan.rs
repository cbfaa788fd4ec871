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
use crate::draft::{Draft, Drafted};
use crate::fingerprint::Fingerprint;
use crate::initialization::len;
use crate::layout::{MemoryLayout, Written, image_bytes};
use crate::policy::Layout;
use crate::visible::Piece;
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
        let mut layouts: PrimaryMap<MemoryIndex, _> =
            PrimaryMap::with_capacity(module.memories().len());
        let mut module_bytes = 0_u64;
        for (index, memory) in module.memories() {
            let mut baked = draft.baked(index);
            let mut from_start = Vec::new();
            if let Ok(start) = &start {
                from_start = start_plan::pieces(module, policy, start, index);
                baked.extend_from_slice(&from_start);
            }
            let mut layout = MemoryLayout::of(&baked, memory.ty, policy);
            if !draft.bakes_all_placed(index) {
                let mut written = draft.placed(index);
                written.extend(from_start);
                layout.written = Written::by(&written, policy.page_size);
            }
            // Memory after memory, until the limit is reached.
            let image_bytes = module_bytes.saturating_add(image_bytes(&layout.runs));
            let limit = policy.max_image_size;
            if layout.verdict.is_ok() && limit < image_bytes {
                layout.verdict = Err(Reason::ModuleSizeLimit { image_bytes, limit });
            }
            match layout.verdict {
                Ok(()) => module_bytes = image_bytes,
                Err(reason) => {
                    draft.replay_memory(index, reason);
                    if start.as_ref().is_ok_and(|it| it.memory() == index) {
                        start = Err(StartReason::Policy);
                    }
                }
            }
            layouts.push(layout);
        }
        if matches!(policy.layout, Layout::SingleRun { .. }) {
            draft.all_or_nothing();
        }
        Self::finish(draft, module, policy, layouts, start)
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

    /// Whether nothing is baked although there are active segments: every start replays
    /// all of them. Not so where what the start function writes is baked.
    pub fn is_segmented(&self) -> bool {
        let is_baked = |it: &MemoryPlan<'_>| it.n_baked != 0 || it.n_baked_passive != 0;
        !self.replay.is_empty() && !self.memories.values().any(is_baked)
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
    /// Those are the active segments whose address is certain and in bounds, whether they
    /// are baked or replayed, and what is baked of the start function.
    pub const fn extent(&self) -> Option<Extent> {
        self.extent
    }

    /// Host pages with at least one byte other than zero, each once, once all segments of
    /// [`extent`](Self::extent) are written: baked or replayed.
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
        image_bytes(&self.runs)
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

impl<'a> Plan<'a> {
    fn finish(
        draft: Draft<'a>,
        module: &Module<'a>,
        policy: &Policy,
        layouts: PrimaryMap<MemoryIndex, MemoryLayout<'a>>,
        start: Result<StartInit, StartReason>,
    ) -> Self {
        let elements_may_trap = module.elements_may_trap();
        let grounds = Grounds::of(
            module,
            policy.start_function,
            &draft,
            start.as_ref().ok(),
            elements_may_trap,
        );
        let mut memories: PrimaryMap<MemoryIndex, MemoryPlan<'a>> =
            PrimaryMap::with_capacity(layouts.len());
        let layouts = layouts.into_iter().map(|(_, it)| it);
        for ((index, memory), layout) in module.memories().iter().zip(layouts) {
            let mut ty = memory.ty;
            if let Some(bytes) = grounds.sizes.get(index).copied().flatten() {
                // Whole pages: it was checked.
                ty.min = bytes.checked_div(ty.page_size.bytes()).unwrap_or(ty.min);
            }
            memories.push(MemoryPlan {
                ty,
                imported: memory.import.is_some(),
                decision: Decision::None,
                extent: layout.written.extent,
                n_nonzero_pages: layout.written.n_nonzero_pages,
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
        for Drafted { it, reason, .. } in draft.list {
            let Some(memory) = memories.get_mut(it.memory_index) else {
                debug_assert!(false, "a segment of a memory that the builder has checked");
                continue;
            };
            let Some(reason) = reason else {
                memory.n_baked = memory.n_baked.saturating_add(1);
                continue;
            };
            memory.n_replayed = memory.n_replayed.saturating_add(1);
            reasons.push(SegmentReason {
                segment: it.segment,
                memory: Some(it.memory_index),
                len: len(it.data),
                reason,
            });
            replay.push(it);
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
