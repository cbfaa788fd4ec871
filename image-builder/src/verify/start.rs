//! What a start function does on each side if the image replaces its work.
//!
//! On the module's side, it finds its flag at 0, writes its segments, fills its ranges with
//! zeros, and sets the flag to 2. On the artifact's side, it either finds the flag at 2 and
//! does nothing, or finds it at 0 and does the same except for the segments: a stripped
//! module writes none of their bytes.

use alloc::vec::Vec;
use core::ops::Range;

use wasm_meminit_analysis::{StartFunction, StartInit, StartReason};

use super::finding::{Finding, StartDifference};
use super::overlay::len_u64;
use super::sides::{Sides, add};
use crate::BakedStart;

/// The flag's value once the memory is initialised.
static DONE: [u8; 4] = 2_u32.to_le_bytes();

/// Runs the start function on both sides, after all active segments are written.
///
/// # Errors
///
/// A finding if the image cannot replace its work.
pub(super) fn run(
    sides: &mut Sides<'_, '_>,
    baked: &BakedStart,
    treatment: StartFunction,
) -> Result<(), Finding> {
    let fail = |because| Err(Finding::StartFunction { because });
    let init = same_start(sides.module.start_init(), baked, treatment)?;
    if !sides.may_have_runs(init.memory()) {
        return fail(StartDifference::ImportedMemory);
    }
    if let Some(barrier) = sides.barrier {
        return fail(StartDifference::AfterBarrier(barrier));
    }
    let (memory, flag) = (init.memory(), init.flag());
    let found = sides.expected.of(memory).read_u32(flag);
    if found != 0 {
        return fail(StartDifference::FlagIsSet { flag, found });
    }
    check_disjoint(sides, &init)?;
    for &(segment, addr) in init.writes() {
        let data = sides.data(segment);
        sides.write(memory, addr, data);
        sides.image.of(memory).write(addr, data);
        add(&mut sides.verified.n_baked, 1);
    }
    // Where the function's effect is part of the image, it runs no more.
    let rest = if baked.is_done {
        &mut sides.image
    } else {
        &mut sides.found
    };
    for range in init.zeroed() {
        let len = range.end.saturating_sub(range.start);
        sides.expected.of(memory).zero(range.start, len);
        rest.of(memory).zero(range.start, len);
    }
    sides.expected.of(memory).write(flag, &DONE);
    if !baked.is_done {
        let found = rest.of(memory).read_u32(flag);
        if found != 0 {
            return fail(StartDifference::FlagIsSet { flag, found });
        }
    }
    rest.of(memory).write(flag, &DONE);
    Ok(())
}

/// Returns what the module's start function does, if it is the one whose writes are in the image.
/// `start_init` is what was recognised.
///
/// # Errors
///
/// A finding if it is another one, or must not be treated that way.
pub(super) fn same_start(
    start_init: Result<StartInit, StartReason>,
    baked: &BakedStart,
    treatment: StartFunction,
) -> Result<StartInit, Finding> {
    let fail = |because| Err(Finding::StartFunction { because });
    let init = match start_init {
        Ok(init) => init,
        Err(reason) => return fail(StartDifference::Unknown(reason)),
    };
    let ours = (init.memory(), init.flag(), init.thread_local());
    if ours != (baked.memory, baked.flag, baked.thread_local) {
        return fail(StartDifference::Another);
    }
    let promised = StartFunction::AlreadyInitializedTls;
    if let (true, Some(it)) = (baked.is_done && treatment != promised, init.thread_local()) {
        let global = it.global;
        return fail(StartDifference::Unknown(StartReason::ThreadLocal {
            global,
        }));
    }
    Ok(init)
}

/// Checks that no address is both written and filled with zeros. Sorting the ranges keeps this
/// from being quadratic.
pub(super) fn check_disjoint(sides: &Sides<'_, '_>, init: &StartInit) -> Result<(), Finding> {
    let written = init.writes().iter();
    let written = written.map(|&(it, addr)| addr..addr.saturating_add(len_u64(sides.data(it))));
    let mut ranges: Vec<(Range<u64>, bool)> = written.map(|it| (it, false)).collect();
    ranges.extend(init.zeroed().iter().map(|it| (it.clone(), true)));
    ranges.retain(|(it, _)| it.start < it.end);
    ranges.sort_unstable_by_key(|(it, _)| it.start);
    // The highest end of each kind so far.
    let (mut written_to, mut zeroed_to) = (0, 0);
    for (range, is_zeroed) in ranges {
        let (own, other) = match is_zeroed {
            true => (&mut zeroed_to, written_to),
            false => (&mut written_to, zeroed_to),
        };
        if range.start < other {
            let because = StartDifference::Overlap { addr: range.start };
            return Err(Finding::StartFunction { because });
        }
        *own = range.end.max(*own);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wasm_meminit_analysis::{Module, ThreadLocal};

    use super::*;

    /// The decoder refuses it too.
    #[test]
    fn the_first_thread_has_its_storage() {
        let wasm = include_str!("../../../tests/modules/threads.wat");
        let wasm = wat::parse_str(wasm).expect("well formed");
        let module = Module::parse(&wasm).expect("valid");
        let init = module.start_init().expect("wasm-ld's");
        let baked = BakedStart {
            memory: init.memory(),
            flag: init.flag(),
            is_done: true,
            thread_local: init.thread_local(),
        };
        let found = |treatment| same_start(module.start_init(), &baked, treatment).map(drop);
        assert_eq!(found(StartFunction::AlreadyInitializedTls), Ok(()));
        let ThreadLocal { global, .. } = init.thread_local().expect("has it");
        let because = StartDifference::Unknown(StartReason::ThreadLocal { global });
        let unlike = Err(Finding::StartFunction { because });
        assert_eq!(found(StartFunction::AlreadyInitialized), unlike);
    }
}
