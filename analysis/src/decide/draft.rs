//! The active segments of a module and the decision for each, while a plan is made.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use cranelift_entity::PrimaryMap;

use crate::address::{fits, len};
use crate::decide::policy::Layout;
use crate::decide::visible::Piece;
use crate::expr::const_expr::EvalError;
use crate::{
    DataIndex, MemoryIndex, MemoryInitializer, Module, OffsetExpr, Policy, Reason, SegmentMode,
};

/// One active segment.
pub(crate) struct Drafted<'m, 'a> {
    pub(crate) segment: DataIndex,
    pub(crate) memory: MemoryIndex,
    pub(crate) offset: &'m OffsetExpr<'a>,
    pub(crate) data: &'a [u8],
    /// Its address, if known and in bounds. Such a segment cannot trap.
    pub(crate) addr: Option<u64>,
    /// Why it is replayed; `None` if it is baked.
    pub(crate) reason: Option<Reason>,
}

impl<'a> Drafted<'_, 'a> {
    /// Returns the segment as it is replayed.
    pub(crate) fn initializer(&self) -> MemoryInitializer<'a> {
        MemoryInitializer {
            memory_index: self.memory,
            segment: self.segment,
            offset: self.offset.clone(),
            data: Cow::Borrowed(self.data),
        }
    }

    /// Returns its address in the image, if it is baked.
    pub(crate) fn baked(&self) -> Option<u64> {
        debug_assert!(
            self.reason.is_some() || self.addr.is_some(),
            "baked without an address"
        );
        match self.reason {
            None => self.addr,
            Some(_) => None,
        }
    }

    fn replay(&mut self, reason: Reason) {
        self.reason = self.reason.or(Some(reason));
    }
}

/// The active segments in module order.
pub(crate) struct Draft<'m, 'a> {
    pub(crate) list: Vec<Drafted<'m, 'a>>,
    /// For each memory, the positions of its segments in `list`.
    of_memory: PrimaryMap<MemoryIndex, Vec<usize>>,
    /// For each memory, whether it is zero before anything is written to it, and no other memory.
    is_fresh: PrimaryMap<MemoryIndex, bool>,
}

impl<'m, 'a> Draft<'m, 'a> {
    pub(crate) fn classify(module: &'m Module<'a>, policy: &Policy) -> Self {
        let mut barrier: Option<DataIndex> = None;
        let mut trap = None;
        let mut list = Vec::with_capacity(module.segments().len());
        let mut of_memory: PrimaryMap<MemoryIndex, Vec<usize>> =
            module.memories().values().map(|_| Vec::new()).collect();
        // The promise contradicts itself for memories that are imported under one name.
        let is_fresh = module.memories().iter().map(|(index, it)| {
            it.import.is_none()
                || (policy.assume_zeroed_imports && !module.is_imported_twice(index))
        });
        let is_fresh: PrimaryMap<MemoryIndex, bool> = is_fresh.collect();
        for (segment, it) in module.segments() {
            let SegmentMode::Active {
                memory_index: memory,
                offset,
            } = &it.mode
            else {
                continue;
            };
            let (memory, data) = (*memory, it.data);
            let (addr, mut reason) = classify_one(module, policy, memory, offset, data);
            if addr.is_some() && is_fresh.get(memory) == Some(&false) {
                reason = Some(Reason::ImportedMemory);
            }
            if let (None, Some(barrier)) = (reason, barrier) {
                reason = Some(Reason::AfterBarrier { barrier });
            }
            if addr.is_none() {
                barrier = barrier.or(Some(segment));
            }
            // An imported memory may be larger than declared, so it may be in bounds.
            if let Some(Reason::OutOfBounds { .. }) = reason
                && module.defined_memory_index(memory).is_some()
            {
                trap = trap.or(Some(segment));
            }
            if let Some(positions) = of_memory.get_mut(memory) {
                positions.push(list.len());
            }
            list.push(Drafted {
                segment,
                memory,
                offset,
                data,
                addr,
                reason,
            });
        }
        if let Some(at) = trap {
            for drafted in &mut list {
                drafted.replay(Reason::AlwaysTraps { at });
            }
        }
        Self {
            list,
            of_memory,
            is_fresh,
        }
    }

    /// Returns whether a memory is zero before anything is written to it, and no other memory.
    pub(crate) fn is_fresh(&self, memory: MemoryIndex) -> bool {
        self.is_fresh.get(memory).copied().unwrap_or(false)
    }

    fn of(&self, memory: MemoryIndex) -> impl Iterator<Item = &Drafted<'m, 'a>> {
        let positions = self.of_memory.get(memory).map_or(&[][..], Vec::as_slice);
        positions.iter().filter_map(|nth| self.list.get(*nth))
    }

    /// Returns the baked segments of one memory, in the order in which they are written.
    pub(crate) fn baked(&self, memory: MemoryIndex) -> Vec<Piece<'a>> {
        pieces(self.of(memory), Drafted::baked)
    }

    /// Returns the segments of one memory with a known address, in the order of the writes.
    pub(crate) fn placed(&self, memory: MemoryIndex) -> Vec<Piece<'a>> {
        pieces(self.of(memory), |it| it.addr)
    }

    /// Returns whether every segment of that memory with a known address is baked.
    pub(crate) fn bakes_all_placed(&self, memory: MemoryIndex) -> bool {
        self.of(memory)
            .all(|it| it.addr.is_none() || it.reason.is_none())
    }

    pub(crate) fn replay_memory(&mut self, memory: MemoryIndex, reason: Reason) {
        let positions = self.of_memory.get(memory).map_or(&[][..], Vec::as_slice);
        for nth in positions {
            if let Some(drafted) = self.list.get_mut(*nth) {
                drafted.replay(reason);
            }
        }
    }

    pub(crate) fn all_or_nothing(&mut self) {
        let first = self.list.iter().find(|it| it.reason.is_some());
        let Some(because) = first.map(|it| it.segment) else {
            return;
        };
        for drafted in &mut self.list {
            drafted.replay(Reason::AllOrNothing { because });
        }
    }
}

fn pieces<'d, 'm: 'd, 'a: 'm>(
    segments: impl Iterator<Item = &'d Drafted<'m, 'a>>,
    addr: impl Fn(&Drafted<'m, 'a>) -> Option<u64>,
) -> Vec<Piece<'a>> {
    let piece = |drafted: &Drafted<'m, 'a>| {
        Some(Piece {
            addr: addr(drafted)?,
            data: drafted.data,
        })
    };
    let mut pieces = Vec::with_capacity(segments.size_hint().1.unwrap_or(0));
    pieces.extend(segments.filter_map(piece));
    pieces
}

/// Classifies one segment by itself: its address if known, and why it cannot be baked.
fn classify_one(
    module: &Module<'_>,
    policy: &Policy,
    memory_index: MemoryIndex,
    offset: &OffsetExpr<'_>,
    data: &[u8],
) -> (Option<u64>, Option<Reason>) {
    let Some(memory) = module.memories().get(memory_index) else {
        debug_assert!(false, "a segment of a memory that the builder has checked");
        return (None, Some(Reason::ImportedMemory));
    };
    let Some(min_bytes) = module.memory_size(memory_index) else {
        return (None, Some(Reason::TooLarge));
    };
    let globals = |global| module.global_value(global);
    let addr = match offset.eval(memory.ty.index_type, &globals) {
        Ok(addr) => addr,
        Err(EvalError::UnknownGlobal(global)) => {
            return (None, Some(Reason::DynamicOffset { global }));
        }
        Err(_) => return (None, Some(Reason::NotAConstant)),
    };
    if !fits(addr, len(data), min_bytes) {
        return (None, Some(Reason::OutOfBounds { addr, min_bytes }));
    }
    let is_single_run = matches!(policy.layout, Layout::SingleRun { .. });
    let is_open = is_single_run && offset.as_const().is_none();
    (Some(addr), is_open.then_some(Reason::NotAConstant))
}
