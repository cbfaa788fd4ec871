//! Guests that grow their memory in each use: what they wrote past its first size stays
//! resident, or is discarded.

use core::convert::Infallible;
use core::time::Duration;

use wasm_meminit_apply::{MemorySlot, SlotConfig, Strategy};
use wasm_meminit_test_support::floor::Floor;

use crate::memories::medians;
use crate::paired::{Way, measure};
use crate::{IMAGE, PAGE, image, image_bytes, timed, write};

/// The size that a memory starts with, and the largest, in bytes.
const FIRST: usize = 2 * IMAGE;
const MAX: usize = 64 << 20;

/// The size of a page of WebAssembly, in bytes.
const WASM_PAGE: usize = 1 << 16;

/// How a memory grows: by how many pages of WebAssembly, in how many calls, and how many host
/// pages of that are written.
#[derive(Clone, Copy)]
struct Growth {
    n_grown: usize,
    n_calls: usize,
    n_written: usize,
}

const GROWTHS: [Growth; 8] = [
    of(0, 1, 0),
    of(1, 1, 1),
    of(16, 1, 16),
    of(16, 16, 16),
    of(16, 1, 256),
    of(64, 1, 16),
    of(64, 1, 256),
    of(64, 4, 768),
];

const fn of(n_grown: usize, n_calls: usize, n_written: usize) -> Growth {
    Growth {
        n_grown,
        n_calls,
        n_written,
    }
}

impl Growth {
    const fn bytes(self) -> usize {
        self.n_grown * WASM_PAGE
    }

    /// Returns the sizes of the memory after each call.
    fn sizes(self) -> impl Iterator<Item = usize> {
        (1..=self.n_calls).map(move |nth| FIRST + self.bytes() * nth / self.n_calls)
    }

    /// Writes a page of the image, and pages past the first size.
    fn write(self, memory: &mut [u8]) {
        write(memory, 0);
        let stride = self.bytes() / PAGE / self.n_written.max(1);
        for nth in 0..self.n_written {
            write(memory, FIRST / PAGE + nth * stride);
        }
    }
}

pub(crate) fn group(time: Duration) {
    println!("whole cycle, ns                          slot    discarding        direct calls");
    for growth in GROWTHS {
        let Some(figures) = medians(time, |time| one(growth, time)) else {
            println!("this system has no page map scan");
            return;
        };
        println!(
            "{:3} pages in {:2} calls, {:3} written {:9.0} {:9.0} {:6.2}x {:9.0} {:6.3}x",
            growth.n_grown,
            growth.n_calls,
            growth.n_written,
            figures[0],
            figures[1],
            figures[2],
            figures[3],
            figures[4],
        );
    }
}

/// Returns the median of the slot; that of a slot that discards its pages, and its ratio to the
/// slot; and that of direct system calls, and the ratio of the slot to it.
fn one(growth: Growth, time: Duration) -> Option<[f64; 5]> {
    let bytes = image_bytes();
    let image = image();
    let mut direct = Floor::new(&bytes, MAX)?;
    direct.close_from(FIRST);
    let slot = |strategy| {
        let config = SlotConfig::new(MAX as u64).with_strategy(strategy);
        MemorySlot::new(&config).expect("addresses")
    };
    let mut kept = slot(Strategy::Auto);
    let mut discarded = slot(Strategy::Discard);
    let cycle = |slot: &mut MemorySlot| {
        slot.instantiate(Some(&image), FIRST as u64).expect("fits");
        for bytes in growth.sizes().filter(|bytes| *bytes != FIRST) {
            slot.grow(bytes as u64).expect("fits");
        }
        growth.write(slot.as_mut_slice());
        slot.reset().expect("reset");
    };
    let mut ways: [Way<'_, Infallible>; 3] = [
        Way::new(|n| Ok(timed(n, || cycle(&mut kept)))),
        Way::new(|n| Ok(timed(n, || cycle(&mut discarded)))),
        Way::new(|n| {
            Ok(timed(n, || {
                direct.close_from(FIRST);
                for bytes in growth.sizes() {
                    direct.open_to(bytes);
                }
                growth.write(direct.bytes());
                direct.scan_and_copy();
            }))
        }),
    ];
    let Ok(()) = measure(&mut ways, time, 1);
    let [kept_way, discarded_way, direct_way] = &ways;
    let figures = [
        kept_way.median(),
        discarded_way.median(),
        discarded_way.ratio(kept_way),
        direct_way.median(),
        kept_way.ratio(direct_way),
    ];
    drop(ways);

    // Check the result: a fast wrong answer is worthless.
    direct.open_to(FIRST + growth.bytes());
    for slot in [&mut kept, &mut discarded] {
        slot.instantiate(Some(&image), FIRST as u64).expect("fits");
        slot.grow((FIRST + growth.bytes()) as u64).expect("fits");
    }
    for memory in [kept.as_slice(), discarded.as_slice(), direct.bytes()] {
        assert_eq!(memory[..IMAGE], bytes);
        assert!(memory[IMAGE..].iter().all(|&byte| byte == 0));
    }
    Some(figures)
}
