//! Decides whether the segments that a start function writes can be baked along with the
//! active ones.

use alloc::vec::Vec;
use core::ops::Range;

use crate::address::len;
use crate::decide::draft::Draft;
use crate::decide::policy::Layout;
use crate::decide::visible::Piece;
use crate::{
    MemoryIndex, Module, Policy, Reason, StartFunction, StartInit, StartReason, ThreadLocal,
};

/// The flag's bytes in an initialised memory.
static INITIALIZED: [u8; 4] = 2_u32.to_le_bytes();

/// Returns the start function's writes if all of them can be baked.
pub(crate) fn bake(
    module: &Module<'_>,
    policy: &Policy,
    draft: &Draft<'_, '_>,
) -> Result<StartInit, StartReason> {
    // Reported first: if nothing could be baked, the policy does not matter.
    let start = module.start_init()?;
    if policy.start_function == StartFunction::Unchanged {
        return Err(StartReason::NotAsked);
    }
    if matches!(policy.layout, Layout::SingleRun { .. }) {
        return Err(StartReason::Policy);
    }
    if !draft.is_fresh(start.memory) {
        return Err(StartReason::ImportedMemory);
    }
    if let (StartFunction::AlreadyInitialized, Some(ThreadLocal { global, .. })) =
        (policy.start_function, start.thread_local)
    {
        return Err(StartReason::ThreadLocal { global });
    }
    for drafted in &draft.list {
        let Some(reason) = drafted.reason else {
            continue;
        };
        // In another memory, a replayed segment that cannot trap does not matter.
        if drafted.memory == start.memory || reason != Reason::ImportedMemory {
            return Err(StartReason::Replayed {
                segment: drafted.segment,
            });
        }
    }
    check_disjoint(module, &start, draft)?;
    // Last, because it reads all code. Without a parser there is no start function.
    #[cfg(feature = "parse")]
    if policy.start_function == StartFunction::WritesStripped {
        crate::start::reachable::check(module, &start)?;
    }
    Ok(start)
}

/// Checks that the function's writes overlap neither each other, nor the flag, nor an
/// active segment.
fn check_disjoint(
    module: &Module<'_>,
    start: &StartInit,
    draft: &Draft<'_, '_>,
) -> Result<(), StartReason> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut add = |start: u64, len: u64| ranges.push(start..start.saturating_add(len));
    add(start.flag, 4);
    for (segment, addr) in &start.writes {
        let segment = module.segments().get(*segment);
        debug_assert!(segment.is_some(), "a segment that was checked before");
        add(*addr, segment.map_or(0, |it| len(it.data)));
    }
    for piece in draft.baked(start.memory) {
        add(piece.addr, len(piece.data));
    }
    ranges.extend(start.zeroed.iter().cloned());
    ranges.retain(|it| it.start < it.end);
    ranges.sort_unstable_by_key(|it| it.start);
    let mut end = 0;
    for range in ranges {
        if range.start < end {
            return Err(StartReason::Overlap { addr: range.start });
        }
        end = range.end;
    }
    Ok(())
}

/// Returns the pieces that `start` adds to the image of a memory.
pub(crate) fn pieces<'a>(
    module: &Module<'a>,
    policy: &Policy,
    start: &StartInit,
    memory: MemoryIndex,
) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    if start.memory != memory {
        return pieces;
    }
    for (segment, addr) in &start.writes {
        let Some(segment) = module.segments().get(*segment) else {
            debug_assert!(false, "a segment that was checked before");
            continue;
        };
        pieces.push(Piece {
            addr: *addr,
            data: segment.data,
        });
    }
    if policy.start_function != StartFunction::WritesStripped {
        pieces.push(Piece {
            addr: start.flag,
            data: &INITIALIZED,
        });
    }
    pieces
}
