//! A data segment, as shown and compared.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;

use wasm_meminit::analysis::{
    DataIndex, GlobalIndex, Module, OffsetExpr, Plan, Reason, Segment, SegmentMode, StartInit,
};

/// One data segment.
#[derive(Clone, Debug)]
pub(crate) struct SegmentView<'a> {
    pub(crate) index: u32,
    /// From the name section.
    pub(crate) name: Option<&'a str>,
    /// The memory that it is written to; `None` for a passive segment that the program copies,
    /// unless its start function is known to do so.
    pub(crate) memory: Option<u32>,
    /// The address of its first byte, if that is known.
    pub(crate) addr: Option<u64>,
    /// What its address depends on, if that is not known.
    pub(crate) offset: Option<OffsetExpr<'a>>,
    pub(crate) data: Cow<'a, [u8]>,
    pub(crate) fate: Fate,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is in the image.
    Static,
    /// It is in the image on behalf of the start function.
    Copied,
    /// It is replayed at each start; the reason is not known for an artifact.
    Replayed(Option<Reason>),
    /// The program copies it, if at all.
    Passive,
}

impl Fate {
    /// Whether its bytes are in an image.
    pub(crate) const fn is_static(self) -> bool {
        matches!(self, Self::Static | Self::Copied)
    }
}

impl SegmentView<'_> {
    /// Returns its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.data.len() as u64
    }

    /// Returns one past its last address, if its address is known.
    pub(crate) fn end(&self) -> Option<u64> {
        self.addr?.checked_add(self.len())
    }
}

/// Returns every segment of a module, in module order, with its fate.
pub(crate) fn of_module<'a>(module: &Module<'a>, plan: &Plan<'a>) -> Vec<SegmentView<'a>> {
    let start = plan.start().ok();
    let names: BTreeMap<DataIndex, &str> = module.segment_names().collect();
    let mut reasons = plan.reasons().iter().peekable();
    let copied: BTreeMap<DataIndex, u64> = start
        .map_or(&[][..], StartInit::writes)
        .iter()
        .copied()
        .collect();
    let global = |it: GlobalIndex| module.global_value(it);
    let view = |(index, segment): (DataIndex, &Segment<'a>)| {
        while reasons.next_if(|it| it.segment < index).is_some() {}
        let reason = reasons
            .next_if(|it| it.segment == index)
            .map(|it| it.reason);
        let mut unknown = None;
        let (memory, addr, fate) = match &segment.mode {
            SegmentMode::Active {
                memory_index,
                offset,
            } => {
                let memory = module.memories().get(*memory_index);
                let addr = memory.and_then(|it| offset.eval(it.ty.index_type, &global).ok());
                if addr.is_none() {
                    unknown = Some(offset.clone());
                }
                let fate = match reason {
                    Some(reason) => Fate::Replayed(Some(reason)),
                    None => Fate::Static,
                };
                (Some(memory_index.as_u32()), addr, fate)
            }
            SegmentMode::Passive => match copied.get(&index) {
                Some(addr) => (
                    start.map(|it| it.memory().as_u32()),
                    Some(*addr),
                    Fate::Copied,
                ),
                None => (None, None, Fate::Passive),
            },
        };
        SegmentView {
            index: index.as_u32(),
            name: names.get(&index).copied(),
            memory,
            addr,
            offset: unknown,
            data: segment.data.into(),
            fate,
        }
    };
    module.segments().iter().map(view).collect()
}
