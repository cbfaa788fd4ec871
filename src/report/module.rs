//! What is known about a core module, and what its plan decides.

use alloc::collections::BTreeSet;

use wasm_meminit::analysis::{
    DataIndex, GlobalIndex, MemoryIndex, Module, Plan, Policy, Reason, SegmentReason, StartInit,
    StartReason,
};

use wasm_meminit::image_builder::SourceHash;

/// A core module, its plan, and the reasons for what is not in an image.
#[derive(Debug)]
pub(crate) struct ModuleSurvey<'a> {
    pub(crate) module: Module<'a>,
    pub(crate) plan: Plan<'a>,
    /// One for each segment that is not in an image, in module order.
    pub(crate) reasons: Vec<SegmentReason>,
    /// What the start function of a threaded module copies, and whether it is baked.
    pub(crate) start: Option<StartSurvey>,
    /// The hash of the module's bytes, as in artifacts built from it, for reports that show it.
    pub(crate) sha256: Option<SourceHash>,
}

/// A start function, in a module with passive segments.
#[derive(Debug)]
pub(crate) struct StartSurvey {
    /// What it does, if it is wasm-ld's.
    pub(crate) init: Result<StartInit, StartReason>,
    /// Why its data is not in an image; `None` if it is.
    pub(crate) why_not: Option<StartReason>,
}

impl StartSurvey {
    fn new(module: &Module<'_>, plan: &Plan<'_>) -> Option<Self> {
        // To read a function, all those before it are passed over.
        let init = match plan.start() {
            Ok(init) => Ok(init.clone()),
            Err(_) => module.start_init(),
        };
        // What was stripped copies nothing.
        let is_empty =
            |(segment, _): &(DataIndex, u64)| module.segments()[*segment].data.is_empty();
        match &init {
            Err(StartReason::Nothing) => return None,
            Ok(init) if init.writes().iter().all(is_empty) => return None,
            _ => {}
        }
        let why_not = plan.start().err().copied();
        Some(Self { init, why_not })
    }

    /// Whether it is wasm-ld's, as far as that is known, and so copies segments.
    pub(crate) const fn is_recognised(&self) -> bool {
        !matches!(
            self.init,
            Err(StartReason::Shape { .. } | StartReason::NoBody)
        )
    }

    /// Returns the global without a value that an address depends on.
    pub(crate) const fn unknown_global(&self) -> Option<GlobalIndex> {
        match self.init {
            Err(StartReason::DynamicOffset { global }) => Some(global),
            _ => None,
        }
    }
}

impl<'a> ModuleSurvey<'a> {
    /// Returns how many bytes a start function copies.
    pub(crate) fn copied_bytes(&self, init: &StartInit) -> u64 {
        self.bytes_of(init.writes().iter().map(|it| it.0))
    }

    /// Returns how many bytes the passive segments have.
    pub(crate) fn passive_bytes(&self) -> u64 {
        self.bytes_of(self.module.passive_segments())
    }

    fn bytes_of(&self, segments: impl Iterator<Item = DataIndex>) -> u64 {
        let segments = segments.map(|it| &self.module.segments()[it]);
        segments.map(|it| it.data.len() as u64).sum()
    }

    /// Returns how many bytes the start function copies to a memory, or may copy, if no image holds
    /// them.
    pub(crate) fn left_to_start(&self, memory: MemoryIndex) -> u64 {
        let left = self.start.as_ref().filter(|it| it.why_not.is_some());
        match left.map(|it| &it.init) {
            Some(Ok(init)) if init.memory() == memory => self.copied_bytes(init),
            // It may copy all of them, as the headline says.
            Some(Err(StartReason::DynamicOffset { .. } | StartReason::OutOfBounds { .. }))
                if memory.as_u32() == 0 =>
            {
                self.passive_bytes()
            }
            _ => 0,
        }
    }

    pub(crate) fn new(module: Module<'a>, policy: &Policy) -> Self {
        let plan = Plan::new(&module, policy);
        let mut reasons = plan.reasons().to_vec();
        let explained: BTreeSet<DataIndex> = reasons.iter().map(|it| it.segment).collect();
        let written = plan.start().map_or(&[][..], StartInit::writes);
        let baked: BTreeSet<DataIndex> = written.iter().map(|it| it.0).collect();
        let passive = module
            .passive_segments()
            .filter(|it| !explained.contains(it) && !baked.contains(it));
        reasons.extend(passive.map(|segment| SegmentReason {
            segment,
            memory: None,
            len: module.segments()[segment].data.len() as u64,
            reason: Reason::Passive,
        }));
        reasons.sort_by_key(|it| it.segment);
        let start = StartSurvey::new(&module, &plan);
        Self {
            module,
            plan,
            reasons,
            start,
            sha256: None,
        }
    }

    /// Returns how many active segments are in images.
    pub(crate) fn n_baked(&self) -> u64 {
        self.plan.memories().values().map(|it| it.n_baked()).sum()
    }

    /// Returns how many active segments are replayed.
    pub(crate) fn n_replayed(&self) -> u64 {
        self.plan.replay().len() as u64
    }

    pub(crate) fn n_passive(&self) -> u64 {
        self.module.passive_segments().count() as u64
    }
}
