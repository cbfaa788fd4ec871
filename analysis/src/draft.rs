//! The active segments of a module with what becomes of each, while a plan is made.

use alloc::vec::Vec;

use cranelift_entity::PrimaryMap;

use crate::const_expr::EvalError;
use crate::initialization::{fits, len};
use crate::policy::Layout;
use crate::visible::Piece;
use crate::{DataIndex, MemoryIndex, MemoryInitializer, Module, Policy, Reason};

/// One active segment.
pub(crate) struct Drafted<'a> {
    pub(crate) it: MemoryInitializer<'a>,
    /// Where it goes, if that is certain and in bounds: then it does not trap.
    pub(crate) addr: Option<u64>,
    /// Why it is not in the image; baked without a reason.
    pub(crate) reason: Option<Reason>,
}

impl Drafted<'_> {
    /// Its address in the image, if it is there.
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
pub(crate) struct Draft<'a> {
    pub(crate) list: Vec<Drafted<'a>>,
    /// Positions in the list by memory, so that no memory walks over the segments of
    /// another.
    of_memory: PrimaryMap<MemoryIndex, Vec<usize>>,
}

impl<'a> Draft<'a> {
    pub(crate) fn classify(module: &Module<'a>, policy: &Policy) -> Self {
        let mut barrier: Option<DataIndex> = None;
        let mut trap = None;
        let mut list = Vec::with_capacity(module.segments().len());
        let mut of_memory: PrimaryMap<MemoryIndex, Vec<usize>> =
            module.memories().values().map(|_| Vec::new()).collect();
        for it in module.active_segments() {
            let (addr, mut reason) = place(module, policy, &it);
            if let (None, Some(barrier)) = (reason, barrier) {
                reason = Some(Reason::BehindBarrier { barrier });
            }
            if addr.is_none() {
                barrier = barrier.or(Some(it.segment));
            }
            // In a larger memory than declared it may be in bounds.
            let is_certain_size = module.defined_memory_index(it.memory_index).is_some();
            if let (Some(Reason::OutOfBounds { .. }), true) = (reason, is_certain_size) {
                trap = trap.or(Some(it.segment));
            }
            if let Some(positions) = of_memory.get_mut(it.memory_index) {
                positions.push(list.len());
            }
            list.push(Drafted { it, addr, reason });
        }
        if let Some(at) = trap {
            for drafted in &mut list {
                drafted.replay(Reason::AlwaysTraps { at });
            }
        }
        Self { list, of_memory }
    }

    fn of(&self, memory: MemoryIndex) -> impl Iterator<Item = &Drafted<'a>> {
        let positions = self.of_memory.get(memory).map_or(&[][..], Vec::as_slice);
        positions.iter().filter_map(|nth| self.list.get(*nth))
    }

    /// The segments of one memory that are baked so far, in the order of the writes.
    pub(crate) fn baked(&self, memory: MemoryIndex) -> Vec<Piece<'a>> {
        pieces(self.of(memory), Drafted::baked)
    }

    /// The segments of one memory that have a certain place, in the order of the writes.
    pub(crate) fn placed(&self, memory: MemoryIndex) -> Vec<Piece<'a>> {
        pieces(self.of(memory), |it| it.addr)
    }

    /// Whether every segment of that memory that has a certain place is baked.
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
        let Some(because) = first.map(|it| it.it.segment) else {
            return;
        };
        for drafted in &mut self.list {
            drafted.replay(Reason::AllOrNothing { because });
        }
    }
}

fn pieces<'d, 'a: 'd>(
    segments: impl Iterator<Item = &'d Drafted<'a>>,
    addr: impl Fn(&Drafted<'a>) -> Option<u64>,
) -> Vec<Piece<'a>> {
    let piece = |drafted: &Drafted<'a>| {
        Some(Piece {
            addr: addr(drafted)?,
            data: drafted.it.data,
        })
    };
    segments.filter_map(piece).collect()
}

/// Where one segment certainly goes, and why it is not baked, looked at alone.
fn place(
    module: &Module<'_>,
    policy: &Policy,
    it: &MemoryInitializer<'_>,
) -> (Option<u64>, Option<Reason>) {
    let Some(memory) = module.memories().get(it.memory_index) else {
        debug_assert!(false, "a segment of a memory that the builder has checked");
        return (None, Some(Reason::ImportedMemory));
    };
    let Some(min_bytes) = module.memory_size(it.memory_index) else {
        return (None, Some(Reason::TooLarge));
    };
    let globals = |global| module.global_value(global);
    let addr = match it.offset.eval(memory.ty.index_type, &globals) {
        Ok(addr) => addr,
        Err(EvalError::UnknownGlobal(global)) => {
            return (None, Some(Reason::DynamicOffset { global }));
        }
        Err(_) => return (None, Some(Reason::NotAConstant)),
    };
    if !fits(addr, len(it.data), min_bytes) {
        let offset = addr;
        return (None, Some(Reason::OutOfBounds { offset, min_bytes }));
    }
    let is_single_run = matches!(policy.layout, Layout::SingleRun { .. });
    let reason = if memory.import.is_some() && !policy.assume_zeroed_imports {
        Some(Reason::ImportedMemory)
    } else if is_single_run && it.offset.as_const().is_none() {
        Some(Reason::NotAConstant)
    } else {
        None
    };
    (Some(addr), reason)
}
