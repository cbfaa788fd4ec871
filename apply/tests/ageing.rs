//! What stays resident is what uses need: not what one of them needed once, however the others
//! use their memory.
#![cfg(target_os = "linux")]

extern crate alloc;

mod common;

use wasm_meminit_apply::{Capabilities, MemorySlot, ResetReport, SlotConfig};
use wasm_meminit_test_support::report;

use crate::common::{PAGE, PATH, Path, bytes, skip};

const SECRET: u8 = 0xa5;
const MAX: usize = 16 << 20;
/// Addresses that a page table maps.
const TABLE: usize = 512 * PAGE;

fn is_skipped() -> bool {
    let is_other = PATH != Path::Linux || !Capabilities::get().scan.is_yes();
    is_other && skip("without scans, no pages are kept")
}

fn slot(max: usize, keep: usize) -> MemorySlot {
    let config = SlotConfig::new(bytes(max)).with_keep_resident(bytes(keep));
    MemorySlot::new(&config).expect("room")
}

/// One use of all of a slot.
fn use_once(slot: &mut MemorySlot, guest: impl FnOnce(&mut [u8])) -> ResetReport {
    let max = slot.max_bytes();
    slot.instantiate(None, max).expect("room");
    guest(slot.as_mut_slice());
    slot.reset().expect("reset")
}

fn page_faults() -> u64 {
    report::page_faults().expect("Linux 3.17")
}

/// Returns how many of the next hundred resets found this many pages written, at most.
fn last_with(slot: &mut MemorySlot, n_pages: usize, guest: impl Fn(&mut [u8])) -> usize {
    let is_many = |it: ResetReport| bytes(n_pages * PAGE) <= it.written_bytes;
    let resets = (1..=100).filter(|_| is_many(use_once(slot, &guest)));
    resets.last().unwrap_or(0)
}

/// Regression: a few cleared pages that returned kept all that a single use had written for
/// 45 uses.
#[test]
fn what_one_use_wrote_does_not_stay_because_of_cleared_pages() {
    if is_skipped() {
        return;
    }
    let clears = |memory: &mut [u8]| {
        memory[..8 * PAGE].fill(0);
        memory[8 * PAGE] = SECRET;
    };
    let mut slot = slot(MAX, 4 << 20);
    for _ in 0..100 {
        use_once(&mut slot, clears);
    }
    for phase in 0..17 {
        for _ in 0..32 + phase {
            use_once(&mut slot, clears);
        }
        use_once(&mut slot, |memory| {
            clears(memory);
            memory[9 * PAGE..][..990 * PAGE].fill(SECRET);
        });
        let last = last_with(&mut slot, 900, clears);
        assert!(last <= 16, "phase {phase}: {last}");
    }
}

/// Regression: what a guest taught a slot was never forgotten.
#[test]
fn a_slot_forgets_that_pages_were_cleared() {
    if is_skipped() {
        return;
    }
    for first in [SECRET, 0] {
        for phase in [0, 8, 16, 24] {
            let mut slot = slot(MAX, 4 << 20);
            for _ in 0..100 {
                use_once(&mut slot, |memory| memory[..700 * PAGE].fill(first));
            }
            for _ in 0..100 + phase {
                use_once(&mut slot, |memory| memory[..700 * PAGE].fill(SECRET));
            }
            let last = last_with(&mut slot, 600, |memory| memory[0] = SECRET);
            assert!(last <= 16, "after {first}, phase {phase}: {last}");
        }
    }
}

/// Regression: a round compared all that was written, however little may stay.
#[test]
fn the_budget_bounds_what_a_round_compares() {
    if is_skipped() {
        return;
    }
    let mut slot = slot(4 * MAX, 1 << 20);
    let clears = |memory: &mut [u8]| memory.fill(0);
    let found: Vec<u64> = (0..40)
        .map(|_| use_once(&mut slot, clears).written_bytes)
        .collect();
    let most = found.iter().max().expect("some");
    assert!(*most <= 2 * found[2], "{found:?}");
}

/// Regression: page tables of a single use stayed if every round ended at the budget, and so did
/// those of pages that it had only read.
#[test]
fn page_tables_do_not_stay_because_of_the_budget() {
    if is_skipped() {
        return;
    }
    const FAR: usize = 64 * MAX;
    let writes = |memory: &mut [u8]| {
        let tables = memory[..FAR - 8 * TABLE].iter_mut().step_by(TABLE);
        tables.for_each(|it| *it = 1);
    };
    let reads = |memory: &mut [u8]| {
        let tables = memory[..250 * TABLE].iter().step_by(TABLE);
        core::hint::black_box(tables.map(|it| u64::from(*it)).sum::<u64>());
    };
    let once: [fn(&mut [u8]); 2] = [writes, reads];
    for (nth_guest, once) in once.into_iter().enumerate() {
        // More than may stay: in each use, or in every fifteenth.
        for (period, phase) in [(1, 0), (15, 0), (15, 7), (15, 14)] {
            let mut slot = slot(FAR, 4 << 20);
            use_once(&mut slot, once);
            let mut last = 0;
            for nth in 1..200 {
                let n = if nth % period == phase { 1100 } else { 1 };
                let guest = |memory: &mut [u8]| {
                    memory[FAR - 1100 * PAGE..][..n * PAGE].fill(SECRET);
                };
                last = use_once(&mut slot, guest).page_table_bytes;
            }
            assert!(last <= 64 << 10, "{nth_guest}, {period}, {phase}: {last}");
        }
    }
}

/// Regression: after uses far over a small budget, a guest that clears its pages was taken for
/// another one, and found none of them in place.
#[test]
fn a_guest_that_clears_its_pages_is_not_over_the_budget() {
    if is_skipped() {
        return;
    }
    let found = [false, true].map(|is_spoilt| {
        let mut slot = slot(4 * MAX, 48 * PAGE);
        for _ in 0..8 {
            use_once(&mut slot, |memory| {
                if is_spoilt {
                    memory.fill(SECRET);
                }
            });
        }
        let mut n_faults = 0;
        for nth in 0..300 {
            let before = page_faults();
            use_once(&mut slot, |memory| {
                memory[..40 * PAGE].fill(0);
                memory[40 * PAGE..][..4 * PAGE].fill(SECRET);
            });
            n_faults += if nth < 100 { 0 } else { page_faults() - before };
        }
        n_faults
    });
    println!("{found:?}");
    assert!(found[1] <= 2 * found[0].max(40), "{found:?}");
}
