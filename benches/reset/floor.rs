//! The whole cycle, compared with direct system calls.

use core::convert::Infallible;
use core::time::Duration;

use wasm_meminit_apply::{MemorySlot, SlotConfig};
use wasm_meminit_test_support::floor::Floor;

use crate::memories::medians;
use crate::paired::{Way, measure};
use crate::{IMAGE, MEMORY, image, image_bytes, timed, touch};

pub(crate) fn group(time: Duration) {
    println!("whole cycle, ns     slot      scan and copy           discard");
    for n_pages in [0, 1, 16, 64, 256, 1024] {
        let Some(figures) = medians(time, |time| one(n_pages, time)) else {
            println!("this system has no page map scan");
            return;
        };
        println!(
            "{n_pages:5} pages   {:9.0}    {:9.0} {:6.3}x     {:9.0} {:6.3}x",
            figures[0], figures[1], figures[2], figures[3], figures[4],
        );
    }
}

/// Returns the medians of the slot and of the scanning floor, their ratio, the median of the
/// discarding floor, and its ratio.
fn one(n_pages: usize, time: Duration) -> Option<[f64; 5]> {
    let bytes = image_bytes();
    let image = image();
    let mut by_scan = Floor::new(&bytes, MEMORY)?;
    let mut by_drop = Floor::new(&bytes, MEMORY)?;
    let mut slot = MemorySlot::new(&SlotConfig::new(MEMORY as u64)).expect("addresses");
    let mut ways: [Way<'_, Infallible>; 3] = [
        Way::new(|n| {
            Ok(timed(n, || {
                slot.instantiate(Some(&image), MEMORY as u64).expect("fits");
                touch(slot.as_mut_slice(), n_pages);
                slot.reset().expect("reset");
            }))
        }),
        Way::new(|n| {
            Ok(timed(n, || {
                touch(by_scan.bytes(), n_pages);
                by_scan.scan_and_copy();
            }))
        }),
        Way::new(|n| {
            Ok(timed(n, || {
                touch(by_drop.bytes(), n_pages);
                by_drop.drop_all();
            }))
        }),
    ];
    let Ok(()) = measure(&mut ways, time, 1);
    let [ours, scanned, dropped] = &ways;
    let figures = [
        ours.median(),
        scanned.median(),
        ours.ratio(scanned),
        dropped.median(),
        ours.ratio(dropped),
    ];
    drop(ways);

    // Check the result: a fast wrong answer is worthless.
    slot.instantiate(Some(&image), MEMORY as u64).expect("fits");
    for memory in [slot.as_slice(), by_scan.bytes(), by_drop.bytes()] {
        assert_eq!(memory[..IMAGE], bytes);
        assert!(memory[IMAGE..].iter().all(|&byte| byte == 0));
    }
    Some(figures)
}
