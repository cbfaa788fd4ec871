//! 10,000 uses of one slot, whose working set moves.

use core::ops::Range;
use core::time::Duration;
use std::time::Instant;

use wasm_meminit_apply::{MemorySlot, SlotConfig};

use crate::paired::median;
use crate::{MEMORY, PAGE, image, write};

const N_USES: usize = 10_000;

/// How many pages each use writes, and the size of the window that it takes them from.
const N_PAGES: usize = 64;
const N_WINDOW: usize = 256;

/// The same as in `SlotConfig::new`.
const BUDGET: u64 = 4 << 20;

pub(crate) fn group(time: Duration) {
    let n_uses = if time.is_zero() { 1000 } else { N_USES };
    let image = image();
    let config = SlotConfig::new(MEMORY as u64).with_keep_resident(BUDGET);
    let mut slot = MemorySlot::new(&config).expect("addresses");
    let mut random = 1_u64;
    let mut resets = Vec::with_capacity(n_uses);
    let mut cycles = Vec::with_capacity(n_uses);
    let mut most_resident = 0;
    for nth in 0..n_uses {
        let window = nth * (MEMORY / PAGE - N_WINDOW) / n_uses;
        let start = Instant::now();
        slot.instantiate(Some(&image), MEMORY as u64).expect("fits");
        for _ in 0..N_PAGES {
            // Knuth, MMIX.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let page = usize::try_from(random >> 33).expect("31 bits") % N_WINDOW;
            write(slot.as_mut_slice(), window + page);
        }
        let written = Instant::now();
        let report = slot.reset().expect("reset");
        resets.push(written.elapsed().as_nanos() as f64);
        cycles.push(start.elapsed().as_nanos() as f64);
        most_resident = most_resident.max(report.resident_bytes);
    }
    let of = |times: &[f64], uses: Range<usize>| median(times[uses].to_vec());
    let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len() as f64;
    let (early, late) = (250..750, n_uses - 500..n_uses);
    println!("{n_uses} uses, {N_PAGES} pages out of {N_WINDOW} that move on, ns");
    for (what, times) in [("reset", &resets), ("cycle", &cycles)] {
        let (first, last) = (of(times, early.clone()), of(times, late.clone()));
        let (first_mean, last_mean) = (mean(&times[early.clone()]), mean(&times[late.clone()]));
        println!(
            "  {what}: medians {first:.0}, {last:.0}: {:.3}x; means {first_mean:.0}, \
             {last_mean:.0}: {:.3}x",
            last / first,
            last_mean / first_mean,
        );
    }
    println!("  at most {most_resident} bytes resident, of {BUDGET}");
    assert!(most_resident <= BUDGET, "over the budget");
}
