//! Memories that grow: what they wrote past the size that they started with stays for the
//! next use that grows, within the budget; until then it is inaccessible, and then it is
//! zero.
#![cfg(target_os = "linux")]

extern crate alloc;

mod common;

use alloc::sync::Arc;

use wasm_meminit_apply::{MemoryImage, MemorySlot, SlotConfig, Strategy};
use wasm_meminit_test_support::probe::is_readable;
use wasm_meminit_test_support::process::in_process;
use wasm_meminit_test_support::report::Report;
use wasm_meminit_test_support::test_name;

use crate::common::{
    BEST, HAS_GUARDS, Numbers, PAGE, assert_same, bytes, image, page_faults, skips_without_scans,
    state,
};

const SECRET: u8 = 0xa5;
const WASM_PAGE: usize = 16 * PAGE;
/// Large enough that several page tables map it.
const MAX: usize = 16 << 20;
const FIRST: usize = 1 << 20;

fn slot(strategy: Strategy, keep: usize) -> MemorySlot {
    let config = SlotConfig::new(bytes(MAX))
        .with_strategy(strategy)
        .with_keep_resident(bytes(keep));
    MemorySlot::new(&config).expect("room")
}

/// Returns how many page faults growing uses took, if every `period`th use grows.
fn faults_of_growth(strategy: Strategy, period: usize, n_pages: usize, n_uses: usize) -> u64 {
    let mut slot = slot(strategy, 4 << 20);
    let mut n_faults = 0;
    for nth in 0..n_uses {
        slot.instantiate(None, bytes(FIRST)).expect("room");
        slot.as_mut_slice()[..PAGE].fill(SECRET);
        if nth % period == 0 {
            let before = page_faults();
            slot.grow(bytes(FIRST + n_pages * PAGE)).expect("room");
            for page in slot.as_mut_slice()[FIRST..].chunks_mut(PAGE) {
                assert_eq!(page[1], 0);
                page[1] = SECRET;
            }
            // The first use makes its pages resident.
            n_faults += if nth == 0 { 0 } else { page_faults() - before };
        }
        slot.reset().expect("reset");
    }
    n_faults
}

#[test]
fn growing_uses_find_their_pages_in_place() {
    if skips_without_scans() {
        return;
    }
    const N_PAGES: usize = 256;
    const N_USES: usize = 200;
    for period in [1, 2, 3, 7, 15] {
        let kept = faults_of_growth(Strategy::Auto, period, N_PAGES, N_USES);
        let discarded = faults_of_growth(Strategy::Discard, period, N_PAGES, N_USES);
        println!("every {period}: {kept} faults, {discarded} without kept pages");
        let n_growing = (N_USES - 1) / period;
        // Those that the test itself takes are few.
        assert!(kept < bytes(N_PAGES / 4), "every {period}: {kept}");
        assert!(bytes(n_growing * N_PAGES) <= discarded, "{discarded}");
    }
}

/// Returns the size in bytes of this process's own pages.
fn anonymous() -> usize {
    let bytes = Report::smaps_rollup().bytes("Anonymous");
    bytes.expect("Linux 4.14")
}

/// What uses of growing and other memories keep is what they report, and within the budget.
#[test]
fn reports_of_growing_memories_match_the_kernel() {
    if skips_without_scans() {
        return;
    }
    const SLACK: usize = 160 << 10;
    for keep in [0, 128 * PAGE, 600 * PAGE, 1 << 30] {
        let passed = in_process(test_name!(), &keep.to_string(), || {
            let first = state(FIRST, &[(0, 40 * PAGE, 1), (FIRST - 7, 7, 2)]);
            let images = [Some(image(BEST, &first)), None];
            let mut numbers = Numbers(0x0067_726f_7774_6800);
            // What is created once per process exists after this.
            let mut warm = slot(Strategy::Auto, keep);
            warm.instantiate(None, 1).expect("room");
            warm.reset().expect("reset");
            let mut slot = slot(Strategy::Auto, keep);
            let before = anonymous();
            let mut image = &images[0];
            for nth in 0..600 {
                if numbers.one_in(20) {
                    image = &images[numbers.below(2)];
                }
                let len = FIRST + numbers.pick(&[0, 0, 0, PAGE, 64 * WASM_PAGE]);
                slot.instantiate(image.as_ref(), bytes(len)).expect("room");
                let n_written = numbers.pick(&[0, 1, 100, 200]);
                slot.as_mut_slice()[..n_written * PAGE].fill(SECRET);
                if numbers.one_in(3) {
                    let n_grown = numbers.pick(&[1, 50, 120, 300]);
                    slot.grow(bytes(len + n_grown * PAGE)).expect("room");
                    slot.as_mut_slice()[len..].fill(SECRET);
                }
                let report = slot.reset().expect("reset");
                let found = anonymous().saturating_sub(before);
                let reported = usize::try_from(report.resident_bytes).expect("fits");
                let what = format!("use {nth}: {found} found, {report:?}");
                assert!(found.abs_diff(reported) <= SLACK + reported / 7, "{what}");
                assert!(reported <= keep.next_multiple_of(PAGE), "{what}");
            }
            true
        });
        assert!(passed, "keep {keep}");
    }
}

/// Memories of one slot that start and grow to any size, from either image.
struct Uses {
    slot: MemorySlot,
    pictures: [(Option<Arc<MemoryImage>>, Vec<u8>); 3],
    numbers: Numbers,
}

impl Uses {
    fn new(strategy: Strategy, keep: usize, seed: u64) -> Self {
        let small = state(5 * PAGE, &[(PAGE, 100, 1), (4 * PAGE, 7, 2)]);
        let large = state(40 * PAGE, &[(0, 10, 3), (39 * PAGE, 9, 5)]);
        Self {
            slot: slot(strategy, keep),
            pictures: [
                (Some(image(BEST, &small)), small),
                (None, Vec::new()),
                (Some(image(BEST, &large)), large),
            ],
            numbers: Numbers(seed),
        }
    }

    fn check(&mut self, which: usize, from: usize) {
        let initial = &self.pictures[which].1;
        let found = self.slot.as_slice();
        if from == 0 {
            assert_same(&found[..initial.len()], initial, "at the start");
        }
        let rest = &found[from.max(initial.len())..];
        assert!(rest.iter().all(|byte| *byte == 0), "not zero");
        let end = found.len().next_multiple_of(PAGE);
        let base = self.slot.as_ptr().cast_const();
        for at in [end, (end + MAX) / 2, MAX - 1] {
            if HAS_GUARDS && end <= at && at < MAX {
                assert!(
                    !is_readable(base.wrapping_add(at)),
                    "{at:#x} after {end:#x}"
                );
            }
        }
    }

    /// Runs one use; a refused call ends it. Returns false if anything was refused.
    fn use_once(&mut self) -> bool {
        // Mostly the same image, so that kept pages are used.
        let which = self.numbers.pick(&[0, 0, 0, 0, 0, 0, 1, 2]);
        let len = (40 + self.numbers.pick(&[0, 0, 0, 5, 200])) * PAGE;
        let started = self
            .slot
            .instantiate(self.pictures[which].0.as_ref(), bytes(len));
        if started.is_err() {
            assert!(self.slot.is_empty());
            return false;
        }
        self.check(which, 0);
        let n_dense = self.numbers.pick(&[1, 1, 30]);
        self.slot.as_mut_slice()[..n_dense * PAGE].fill(SECRET);
        let mut is_done = true;
        for _ in 0..self.numbers.pick(&[0, 1, 1, 3]) {
            let before = self.slot.as_slice().len();
            let to = (before + self.numbers.pick(&[1, 16, 600]) * PAGE).min(MAX);
            is_done &= self.slot.grow(bytes(to)).is_ok();
            if self.slot.is_poisoned() {
                return false;
            }
            self.check(which, before);
            // Here and there: later uses find some pages and not others.
            let step = PAGE * self.numbers.pick(&[1, 2, 7]);
            let memory = &mut self.slot.as_mut_slice()[before..];
            memory
                .chunks_mut(step)
                .for_each(|chunk| chunk[..PAGE].fill(SECRET));
        }
        is_done & self.slot.reset().is_ok()
    }
}

#[test]
fn memories_grow_into_zeros() {
    for strategy in common::STRATEGIES {
        for keep in [0, 64 * PAGE, 4 << 20] {
            for seed in 0..3 {
                let mut uses = Uses::new(strategy, keep, seed);
                for _ in 0..60 {
                    assert!(uses.use_once(), "{strategy}, keep {keep}: refused");
                }
            }
        }
    }
}

/// A memory that is mostly written is compared as a whole, and no longer if it is not.
#[test]
fn small_memories_that_are_mostly_written_are_copied() {
    if skips_without_scans() {
        return;
    }
    for (len, n_written, is_copied) in [
        (WASM_PAGE, 16, true),
        (WASM_PAGE, 8, true),
        (WASM_PAGE, 7, false),
        (16 * WASM_PAGE, 240, true),
        (16 * WASM_PAGE, 200, false),
        (17 * WASM_PAGE, 17 * 16, false),
    ] {
        let first = state(WASM_PAGE, &[(0, WASM_PAGE, 1)]);
        let image = image(BEST, &first);
        let mut slot = slot(Strategy::Auto, 4 << 20);
        let mut use_once = |n_written: usize| {
            slot.instantiate(Some(&image), bytes(len)).expect("room");
            let mut expected = first.clone();
            expected.resize(len, 0);
            assert_same(slot.as_slice(), &expected, "at the start");
            slot.as_mut_slice()[..n_written * PAGE].fill(SECRET);
            slot.reset().expect("reset")
        };
        let copied = (0..40).filter(|_| use_once(n_written).by == Strategy::Copy);
        let n_copied = copied.count();
        let what = format!("{n_written} pages of {len} bytes: {n_copied} of 40");
        assert_eq!(is_copied, 30 < n_copied, "{what}");
        assert!(is_copied || n_copied == 0, "{what}");
        // Sixteen uses later, what they do not write is discarded.
        let last = (0..40).map(|_| use_once(1)).last().expect("uses");
        assert_eq!(last.by, Strategy::ScanAndCopy, "{what}");
        assert!(last.resident_bytes <= bytes(2 * PAGE), "{what}: {last:?}");
    }
}

#[cfg(feature = "fault-injection")]
mod refusals {
    //! A system that refuses calls.

    use wasm_meminit_apply::testing::{self, Plan};
    use wasm_meminit_apply::{Call, SlotError};

    use super::*;

    /// One call opens what a memory grows by, one closes it for the next one, and one scans
    /// it. Memories that do not grow after another close nothing.
    #[test]
    fn growth_takes_one_call_each_way() {
        if skips_without_scans() {
            return;
        }
        let first = state(WASM_PAGE, &[(0, 10, 1)]);
        let image = image(BEST, &first);
        let mut slot = slot(Strategy::Auto, 4 << 20);
        let mut n_calls = |n_grows: usize| {
            testing::set(None);
            slot.instantiate(Some(&image), bytes(FIRST)).expect("room");
            slot.as_mut_slice()[0] = SECRET;
            for nth in 1..=n_grows {
                slot.grow(bytes(FIRST + nth * WASM_PAGE)).expect("room");
                slot.as_mut_slice()[FIRST + (nth - 1) * WASM_PAGE] = SECRET;
            }
            slot.reset().expect("reset");
            testing::n_calls()
        };
        n_calls(4);
        let found = [4, 1, 0, 0, 1, 1].map(&mut n_calls);
        assert_eq!(found, [1 + 4 + 1, 1 + 1 + 1, 1 + 1, 1, 1 + 1, 1 + 1 + 1]);
    }

    /// Wherever a call fails, also in rounds of ageing: the slot is clean or poisoned.
    #[test]
    fn a_slot_that_grew_is_clean_or_poisoned() {
        // A round follows the sixteenth use.
        const BEFORE: usize = 14;
        const DURING: usize = 4;
        const CODES: [i32; 2] = [12, 1];
        let mut n_positions = 0;
        let mut n_poisoned = 0;
        for (strategy, keep) in [
            (Strategy::Auto, 64 * PAGE),
            (Strategy::Auto, 4 << 20),
            (Strategy::Discard, 4 << 20),
            (Strategy::Remap, 4 << 20),
        ] {
            for call in [
                Call::Allocate,
                Call::Mprotect,
                Call::Madvise,
                Call::Mmap,
                Call::PagemapScan,
                Call::ProcessMadvise,
            ] {
                for (code, fail) in CODES.into_iter().zip([1, u64::MAX]) {
                    for skip in 0.. {
                        let mut uses = Uses::new(strategy, keep, skip);
                        for _ in 0..BEFORE {
                            assert!(uses.use_once(), "a use failed before any call did");
                        }
                        testing::set(Some(Plan {
                            skip,
                            fail,
                            only: Some(call),
                            code,
                        }));
                        for _ in 0..DURING {
                            uses.use_once();
                            // A use that could not be reset stays in use.
                            if !uses.slot.is_empty() {
                                assert!(uses.slot.reset().is_ok() || uses.slot.is_poisoned());
                            }
                        }
                        let n_calls = testing::n_calls();
                        testing::set(None);
                        n_positions += 1;
                        if uses.slot.is_poisoned() {
                            n_poisoned += 1;
                            let started = uses.slot.instantiate(None, 1);
                            assert_eq!(started, Err(SlotError::Poisoned));
                        } else {
                            for _ in 0..6 {
                                assert!(uses.use_once(), "a use failed, and no call did");
                            }
                        }
                        if n_calls <= skip {
                            break;
                        }
                    }
                }
            }
        }
        println!("{n_positions} positions, {n_poisoned} slots poisoned");
        assert_ne!(n_poisoned, 0, "no failure poisoned a slot");
    }
}
