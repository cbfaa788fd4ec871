//! What a start function does on each side if the image replaces its work.
//!
//! On the module's side, it finds its flag at 0, writes its segments, fills its ranges with
//! zeros, and sets the flag to 2. On the artifact's side, it either finds the flag at 2 and
//! does nothing, or finds it at 0 and does the same except for the segments: a stripped
//! module writes none of their bytes.

use core::ops::Range;

use wasm_meminit_analysis::StartInit;
use wasm_meminit_image_builder::BakedStart;

use super::{Finding, NotTheStart, Sides, nth};

/// The flag's value once the memory is initialised.
static DONE: [u8; 4] = 2_u32.to_le_bytes();

impl Sides<'_, '_> {
    /// Runs the start function on both sides, after all active segments are written.
    pub(super) fn start(&mut self, baked: &BakedStart) -> Result<(), Finding> {
        let fail = |because| Err(Finding::StartFunction { because });
        let init = match self.module.start_init() {
            Ok(init) => init,
            Err(reason) => return fail(NotTheStart::Unknown(reason)),
        };
        let ours = (init.memory(), init.flag(), init.thread_local());
        if ours != (baked.memory, baked.flag, baked.thread_local) {
            return fail(NotTheStart::Another);
        }
        if !self.may_have_runs(init.memory()) {
            return fail(NotTheStart::ImportedMemory);
        }
        if let Some(barrier) = self.barrier {
            return fail(NotTheStart::AfterBarrier(barrier));
        }
        let memory = nth(init.memory());
        let flag = init.flag();
        let found = self.expected[memory].read_u32(flag);
        if found != 0 {
            return fail(NotTheStart::FlagIsSet { flag, found });
        }
        if let Some(addr) = self.meets_zeroed(&init) {
            return fail(NotTheStart::Overlap { addr });
        }
        for (segment, addr) in init.writes() {
            let data = self.module.segments()[*segment].data;
            self.image[memory].write(*addr, data);
            self.expected[memory].write(*addr, data);
            self.verified.data_bytes += data.len() as u64;
            self.verified.n_baked += 1;
        }
        for range in init.zeroed() {
            let len = range.end.saturating_sub(range.start);
            self.expected[memory].zero(range.start, len);
            if baked.is_done {
                self.image[memory].zero(range.start, len);
            } else {
                self.found[memory].zero(range.start, len);
            }
        }
        self.expected[memory].write(flag, &DONE);
        if baked.is_done {
            self.image[memory].write(flag, &DONE);
        } else {
            let found = self.found[memory].read_u32(flag);
            if found != 0 {
                return fail(NotTheStart::FlagIsSet { flag, found });
            }
            self.found[memory].write(flag, &DONE);
        }
        Ok(())
    }

    /// Returns an address that is both written and filled with zeros, if there is one. Sorting
    /// the ranges keeps this from being quadratic.
    fn meets_zeroed(&self, init: &StartInit) -> Option<u64> {
        let len = |segment| self.module.segments()[segment].data.len() as u64;
        let written = init.writes().iter();
        let written = written.map(|&(it, addr)| addr..addr.saturating_add(len(it)));
        let mut ranges: Vec<(Range<u64>, bool)> = written.map(|it| (it, false)).collect();
        ranges.extend(init.zeroed().iter().map(|it| (it.clone(), true)));
        ranges.retain(|(it, _)| it.start < it.end);
        ranges.sort_unstable_by_key(|(it, _)| it.start);
        // The highest end of each kind so far.
        let mut reach = [0_u64; 2];
        for (range, is_zeroed) in ranges {
            let kind = usize::from(is_zeroed);
            if range.start < reach[1 - kind] {
                return Some(range.start);
            }
            reach[kind] = reach[kind].max(range.end);
        }
        None
    }
}
