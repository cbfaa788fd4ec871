//! Checks the contract of `Reservation` on every path, against a plain vector.

use alloc::vec;
use core::ops::Range;

use super::{Access, Backing, Part, Reservation, page_bytes};

const N_PAGES: usize = 160;

/// Closed bytes keep their contents, unless they are discarded or replaced: they are still
/// there when they are opened again.
#[test]
fn portable_contract_of_reservations() {
    let page = page_bytes();
    let len = N_PAGES * page;
    let (n_seeds, n_steps) = if cfg!(miri) { (1, 25) } else { (40, 200) };
    let mut n_discarded = 0;
    for seed in 1..=n_seeds {
        // Our generator is in a package that is not published, and these tests are.
        let mut state: u64 = seed;
        let mut below = |n: usize| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            usize::try_from(state >> 33).expect("31 bits") % n
        };
        let mut memory = Reservation::new(page, len, page).expect("room");
        let (mut expected, mut open) = (vec![0; len], 0);
        for step in 0..n_steps {
            let mut some = |from: usize| -> Range<usize> {
                let (a, b) = (
                    below(N_PAGES - from + 1) + from,
                    below(N_PAGES - from + 1) + from,
                );
                a.min(b) * page..a.max(b) * page
            };
            match step % 6 {
                0 => {
                    let end = some(open / page).end;
                    memory
                        .protect(open..end, Access::ReadWrite)
                        .expect("opened");
                    open = open.max(end);
                }
                1 => {
                    let range = some(0);
                    let range = range.start..range.end.min(open).max(range.start);
                    if let Some(target) = memory.bytes_mut().get_mut(range.clone()) {
                        let byte = u8::try_from(1 + step % 250).expect("a byte");
                        target.fill(byte);
                        expected[range].fill(byte);
                    }
                }
                2 => {
                    let range = some(0);
                    if memory.discard(range.clone()).is_ok() {
                        n_discarded += range.len();
                        expected[range].fill(0);
                    }
                }
                3 => {
                    let range = some(0).start..len;
                    memory.protect(range.clone(), Access::None).expect("closed");
                    open = open.min(range.start);
                }
                4 => {
                    let range = some(0);
                    let range = range.start.min(open)..range.end.min(open);
                    let part = Part {
                        range: range.clone(),
                        backing: Backing::Zero,
                    };
                    let parts = (!range.is_empty()).then_some(part);
                    memory.replace(parts.into_iter()).expect("zero");
                    expected[range].fill(0);
                }
                _ => {
                    let range = some(0);
                    memory.renew(range.clone()).expect("fresh");
                    if !range.is_empty() {
                        open = open.min(range.start);
                    }
                    expected[range].fill(0);
                }
            }
            assert_eq!(memory.open(), open, "seed {seed}, step {step}");
            assert!(
                memory.bytes() == &expected[..open],
                "seed {seed}, step {step}: bytes differ"
            );
        }
    }
    // `unix.rs` discards nothing.
    let discards = Reservation::new(0, page, 0)
        .expect("room")
        .discard(0..0)
        .is_ok();
    assert_eq!(n_discarded != 0, discards);
}
