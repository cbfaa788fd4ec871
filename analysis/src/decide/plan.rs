//! Decides, for each memory, what its image contains and what must be replayed.
//!
//! Active segments run in order; each is checked against its memory's size and
//! then written whole; the first that fails traps, and what ran before it stays
//! written. So a segment may be *baked* (put in the image) if no earlier segment may
//! trap, its memory is known to be initially zero, and it is known to be in bounds.
//! Core specification, "Instantiation".

use alloc::borrow::Cow;
use alloc::vec::Vec;

use cranelift_entity::PrimaryMap;

use super::start_plan;
use crate::address::len;
use crate::decide::assumption::{Assumption, UsedAssumptions};
use crate::decide::draft::Draft;
use crate::decide::fingerprint::{Fingerprint, Origin};
use crate::decide::layout::{MemoryLayout, Written, image_bytes};
use crate::decide::policy::Layout;
use crate::decide::visible::Piece;
use crate::{
    Extent, HostPageSize, MemoryIndex, MemoryInitializer, MemoryType, Module, Policy, Reason, Run,
    SegmentReason, StartFunction, StartInit, StartReason, StaticMemoryInitializer,
};

/// The contents of each memory's image, the segments to replay, and the reasons.
///
/// The serialised form contains the bytes of images and replayed segments, so the module
/// is no longer needed. Deserialisation checks the plan; [`matches`](Self::matches) compares
/// it with a module.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    pub(crate) memories: PrimaryMap<MemoryIndex, MemoryPlan<'a>>,
    pub(crate) replay: Vec<MemoryInitializer<'a>>,
    pub(crate) reasons: Vec<SegmentReason>,
    pub(crate) elements_may_trap: bool,
    pub(crate) start: Result<StartInit, StartReason>,
    pub(crate) policy: Policy,
    pub(crate) assumptions: Vec<Assumption>,
    pub(crate) origin: Origin<'a>,
}

/// The plan for one memory.
#[derive(Clone, Debug)]
pub struct MemoryPlan<'a> {
    pub(crate) ty: MemoryType,
    pub(crate) imported: bool,
    pub(crate) decision: Decision,
    pub(crate) extent: Option<Extent>,
    pub(crate) n_nonzero_pages: u64,
    pub(crate) runs: Vec<Run>,
    pub(crate) pieces: Vec<StaticMemoryInitializer<'a>>,
    pub(crate) n_baked: u64,
    pub(crate) n_baked_passive: u64,
    pub(crate) n_replayed: u64,
}

/// How a memory is initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Decision {
    /// No active segment writes to it, and nothing of the start function is baked.
    None,
    /// Every segment is in the image.
    Static,
    /// Some segments are in the image, others are replayed.
    Hybrid,
    /// Every segment is replayed.
    Segmented,
}

impl Decision {
    pub(crate) const fn of(is_baked: bool, n_replayed: u64) -> Self {
        match (is_baked, n_replayed) {
            (false, 0) => Self::None,
            (false, _) => Self::Segmented,
            (true, 0) => Self::Static,
            (true, _) => Self::Hybrid,
        }
    }
}

fn to_initializer<'a>(piece: &Piece<'a>) -> StaticMemoryInitializer<'a> {
    StaticMemoryInitializer {
        addr: piece.addr,
        data: Cow::Borrowed(piece.data),
    }
}

impl<'a> Plan<'a> {
    /// Plans the initialisation of every memory of a module.
    ///
    /// Reads each data byte at most once, to find zero pages; for a module that was built with
    /// a [`ModuleBuilder`](crate::ModuleBuilder), once more to tie the plan to it.
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
            let mut layout = MemoryLayout::of(baked, memory.ty, policy);
            if !draft.bakes_all_placed(index) {
                let mut written = draft.placed(index);
                written.extend(from_start);
                layout.written = Written::by(&written, policy.page_size);
            }
            // In index order, until the module's limit is reached.
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

    /// Returns the page size that runs are aligned to.
    pub const fn page_size(&self) -> HostPageSize {
        self.policy.page_size
    }

    /// Returns the policy that the plan was made with.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the assumptions about the host that the plan relies on, each once.
    ///
    /// Only facts that a decision used are listed: a supplied value that no baked segment
    /// depends on is not.
    pub fn assumptions(&self) -> &[Assumption] {
        &self.assumptions
    }

    /// Returns whether the plan was made for this module: the same memories, globals and
    /// segments with the same bytes. Values supplied by the host are ignored.
    ///
    /// Reads every data byte, unless both were made from the very same slice of bytes.
    pub fn matches(&self, module: &Module<'_>) -> bool {
        let start = self.start.as_ref().ok();
        self.origin.is(module) || self.origin.fingerprint(start) == Fingerprint::of(module, start)
    }

    /// Returns the plans of all memories, imported ones first.
    pub const fn memories(&self) -> &PrimaryMap<MemoryIndex, MemoryPlan<'a>> {
        &self.memories
    }

    /// Returns the active segments that must still be replayed, in order.
    pub fn replay(&self) -> &[MemoryInitializer<'a>] {
        &self.replay
    }

    /// Returns one reason for each replayed active segment, in order.
    pub fn reasons(&self) -> &[SegmentReason] {
        &self.reasons
    }

    /// Returns whether nothing is baked although there are active segments, so that every
    /// instantiation replays all of them.
    ///
    /// `false` if writes of the start function are baked.
    pub fn is_segmented(&self) -> bool {
        let is_baked = |it: &MemoryPlan<'_>| it.n_baked != 0 || it.n_baked_passive != 0;
        !self.replay.is_empty() && !self.memories.values().any(is_baked)
    }

    /// Returns the baked writes of the start function, or why none are baked.
    ///
    /// # Errors
    ///
    /// [`StartReason`], for reports; it is not a failure.
    pub const fn start(&self) -> Result<&StartInit, &StartReason> {
        self.start.as_ref()
    }

    /// Returns how the policy handles the start function.
    pub const fn start_function(&self) -> StartFunction {
        self.policy.start_function
    }

    /// Returns whether an active element segment may trap; see
    /// [`Module::elements_may_trap`].
    pub const fn elements_may_trap(&self) -> bool {
        self.elements_may_trap
    }
}

impl<'a> MemoryPlan<'a> {
    /// Returns the memory's type. If the plan relies on an
    /// [assumed size](Assumption::MemorySize), that size is its minimum.
    pub const fn ty(&self) -> MemoryType {
        self.ty
    }

    /// Returns whether the memory is imported.
    pub const fn is_imported(&self) -> bool {
        self.imported
    }

    /// Returns how the memory is initialised.
    pub const fn decision(&self) -> Decision {
        self.decision
    }

    /// Returns the extent of the segments with a known address; `None` if there are none.
    ///
    /// Counts active segments whose address is known and in bounds, baked or replayed, and
    /// the baked writes of the start function.
    pub const fn extent(&self) -> Option<Extent> {
        self.extent
    }

    /// Returns the number of host pages with a non-zero byte after all segments of
    /// [`extent`](Self::extent) are written, baked or replayed.
    pub const fn n_nonzero_pages(&self) -> u64 {
        self.n_nonzero_pages
    }

    /// Returns the runs of the image, in address order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Returns the data of the runs, in address order and without overlaps. All other bytes
    /// of the runs are zero. Pieces outside every run are all zero.
    pub fn pieces(&self) -> &[StaticMemoryInitializer<'a>] {
        &self.pieces
    }

    /// Returns the total length of all runs in bytes.
    pub fn image_bytes(&self) -> u64 {
        image_bytes(&self.runs)
    }

    /// Returns the number of active segments in the image.
    pub const fn n_baked(&self) -> u64 {
        self.n_baked
    }

    /// Returns the number of passive segments, written by the start function, in the image.
    pub const fn n_baked_passive(&self) -> u64 {
        self.n_baked_passive
    }

    /// Returns the number of active segments that are replayed.
    pub const fn n_replayed(&self) -> u64 {
        self.n_replayed
    }
}

impl<'a> Plan<'a> {
    fn finish(
        draft: Draft<'_, 'a>,
        module: &Module<'a>,
        policy: &Policy,
        layouts: PrimaryMap<MemoryIndex, MemoryLayout<'a>>,
        start: Result<StartInit, StartReason>,
    ) -> Self {
        let elements_may_trap = module.elements_may_trap();
        let used = UsedAssumptions::of(
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
            if let Some(bytes) = used.sizes.get(index).copied().flatten() {
                // A whole number of pages: `with_memory_size` checked it.
                ty.min = bytes.checked_div(ty.page_size.bytes()).unwrap_or(ty.min);
            }
            memories.push(MemoryPlan {
                ty,
                imported: memory.import.is_some(),
                decision: Decision::None,
                extent: layout.written.extent,
                n_nonzero_pages: layout.written.n_nonzero_pages,
                runs: layout.runs,
                pieces: layout.pieces.iter().map(to_initializer).collect(),
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
        for drafted in draft.list {
            let Some(memory) = memories.get_mut(drafted.memory) else {
                debug_assert!(false, "a segment of a memory that the builder has checked");
                continue;
            };
            let Some(reason) = drafted.reason else {
                memory.n_baked = memory.n_baked.saturating_add(1);
                continue;
            };
            memory.n_replayed = memory.n_replayed.saturating_add(1);
            reasons.push(SegmentReason {
                segment: drafted.segment,
                memory: Some(drafted.memory),
                len: len(drafted.data),
                reason,
            });
            replay.push(drafted.initializer());
        }
        for memory in memories.values_mut() {
            let is_baked = memory.n_baked != 0 || memory.n_baked_passive != 0;
            memory.decision = Decision::of(is_baked, memory.n_replayed);
            if !is_baked {
                memory.runs = Vec::new();
                memory.pieces = Vec::new();
            }
        }
        let origin = Origin::of(module, start.as_ref().ok());
        Plan {
            memories,
            replay,
            reasons,
            elements_may_trap,
            start,
            policy: *policy,
            assumptions: used.list,
            origin,
        }
    }
}
