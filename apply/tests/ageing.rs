//! What stays resident is what uses need: not what one of them needed once, however the others
//! use their memory.
#![cfg(target_os = "linux")]

extern crate alloc;

mod common;

use wasm_meminit_apply::{MemorySlot, ResetReport, SlotConfig};

use crate::common::{PAGE, bytes, page_faults, skips_without_scans};

const SECRET: u8 = 0xa5;
const MAX: usize = 16 << 20;
/// Addresses that a page table maps.
const TABLE: usize = 512 * PAGE;

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

/// Returns how many page faults a guest takes in one use.
fn faults_of_use(slot: &mut MemorySlot, guest: impl FnOnce(&mut [u8])) -> u64 {
    let mut n_faults = 0;
    use_once(slot, |memory| {
        let before = page_faults();
        guest(memory);
        n_faults = page_faults() - before;
    });
    n_faults
}

/// Fills so many pages with zeros, and then others with other bytes.
fn clear_and_write(memory: &mut [u8], n_zero: usize, n_written: usize) {
    memory[..n_zero * PAGE].fill(0);
    memory[n_zero * PAGE..][..n_written * PAGE].fill(SECRET);
}

/// Returns how many of the next hundred resets found this many pages written, at most.
fn last_with(slot: &mut MemorySlot, n_pages: usize, guest: impl Fn(&mut [u8])) -> usize {
    let is_many = |it: ResetReport| bytes(n_pages * PAGE) <= it.written_bytes;
    let resets = (1..=100).filter(|_| is_many(use_once(slot, &guest)));
    resets.last().unwrap_or(0)
}

/// A guest that clears what it uses first, and frees it: nothing shows that it wrote these pages.
#[test]
fn pages_that_each_use_fills_with_zeros_stay() {
    if skips_without_scans() {
        return;
    }
    const N_USES: usize = 400;
    let faults_of_clearing = |n_zero: usize, n_written: usize| {
        let mut slot = slot(MAX, 4 << 20);
        let uses = (0..N_USES).map(|_| {
            faults_of_use(&mut slot, |memory| {
                clear_and_write(memory, n_zero, n_written)
            })
        });
        // The first use makes its pages resident.
        let n_faults: u64 = uses.skip(1).sum();
        println!("{n_zero} of zeros, {n_written} others: {n_faults} faults in {N_USES} uses");
        n_faults
    };
    // Discarded once in three rounds of sixteen resets.
    let most = |n_zero: usize| bytes(N_USES / 32 * n_zero);
    assert!(faults_of_clearing(768, 16) < most(768));
    assert!(faults_of_clearing(16, 768) < most(16));
    // More than may stay: the rest is discarded each time.
    let n_over = 768 + 300 - (4 << 20) / PAGE;
    assert!(faults_of_clearing(768, 300) < most(768) + bytes(N_USES * n_over));
}

/// A guest that writes more than may stay, and clears most of it first: pages that it needed only
/// once do not take the place of these for long.
#[test]
fn pages_needed_once_do_not_fill_the_budget() {
    if skips_without_scans() {
        return;
    }
    const N_ONCE: usize = 512;
    const N_ZERO: usize = 768;
    const N_WRITTEN: usize = 300;
    const N_USES: usize = 100;
    let mut slot = slot(MAX, 4 << 20);
    let uses = (0..3 * N_USES).map(|nth| {
        faults_of_use(&mut slot, |memory| {
            let (once, others) = memory.split_at_mut(N_ONCE * PAGE);
            clear_and_write(others, N_ZERO, N_WRITTEN);
            if nth == N_USES {
                once.fill(SECRET);
            }
        })
    });
    let n_faults: u64 = uses.skip(2 * N_USES).sum();
    let n_over = N_ZERO + N_WRITTEN - (4 << 20) / PAGE;
    println!("{n_faults} faults in {N_USES} uses, of which {n_over} in each");
    let n_rounds = N_USES / 48 + 1;
    assert!(
        n_faults <= bytes(N_USES * n_over + n_rounds * N_ZERO),
        "{n_faults}"
    );
}

/// Regression: a few cleared pages that returned kept all that a single use had written for
/// 45 uses.
#[test]
fn what_one_use_wrote_does_not_stay_because_of_cleared_pages() {
    if skips_without_scans() {
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
    if skips_without_scans() {
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
    if skips_without_scans() {
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
    if skips_without_scans() {
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
    if skips_without_scans() {
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
        let uses =
            (0..300).map(|_| faults_of_use(&mut slot, |memory| clear_and_write(memory, 40, 4)));
        uses.skip(100).sum::<u64>()
    });
    println!("{found:?}");
    assert!(found[1] <= 2 * found[0].max(40), "{found:?}");
}
