//! Measures a cycle of start, use and reset, by each strategy.

use alloc::sync::Arc;
use core::time::Duration;
use std::time::Instant;

use wasm_meminit::apply::{MemoryImage, MemorySlot, SlotConfig, SlotError, Strategy};

use super::MIN_ROUNDS;
use super::paired::{Way, measure as measure_ways};
use super::spread::{Comparison, Spread};

pub(super) const STRATEGIES: [Strategy; 5] = [
    Strategy::Auto,
    Strategy::ScanAndCopy,
    Strategy::Discard,
    Strategy::Remap,
    Strategy::Copy,
];

/// The largest memory for which copying it whole is measured; a larger one takes too long.
const MAX_COPIED_BYTES: u64 = 256 << 20;

/// The cost of each strategy for one number of written pages.
pub(crate) struct Reset {
    pub(super) n_pages: u64,
    /// A fresh memory for the same use: it is reserved, initialised, written to, and released.
    pub(super) fresh: Spread,
    pub(super) by: Vec<(Strategy, Cost)>,
    /// The cycle of the first strategy, compared with a fresh memory.
    pub(super) comparison: Comparison,
}

/// In nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// The reset alone.
    pub(super) reset: Spread,
    /// The start, a byte written to each page, and the reset.
    pub(super) cycle: Spread,
}

/// Measures with `n_pages` pages written, spread as far apart as possible.
pub(super) fn measure(
    image: Option<&Arc<MemoryImage>>,
    bytes: u64,
    n_pages: u64,
    time: Duration,
) -> Result<Reset, SlotError> {
    let strategies: Vec<Strategy> = STRATEGIES
        .into_iter()
        .filter(|it| *it != Strategy::Copy || bytes <= MAX_COPIED_BYTES)
        .collect();
    let mut ways: Vec<Way<'_, SlotError>> = Vec::new();
    for &strategy in &strategies {
        // A forced strategy is measured without a residency limit; the default has its own.
        let config = match strategy {
            Strategy::Auto => SlotConfig::new(bytes),
            forced => SlotConfig::new(bytes)
                .with_strategy(forced)
                .with_keep_resident(u64::MAX),
        };
        for whole in [false, true] {
            let mut slot = MemorySlot::new(&config)?;
            ways.push(Way::new(move |n| {
                let mut resets = Duration::ZERO;
                let start = Instant::now();
                for _ in 0..n {
                    slot.instantiate(image, bytes)?;
                    touch(slot.as_mut_slice(), n_pages);
                    if whole {
                        slot.reset()?;
                    } else {
                        let start = Instant::now();
                        slot.reset()?;
                        resets += start.elapsed();
                    }
                }
                Ok(if whole { start.elapsed() } else { resets })
            }));
        }
    }
    ways.push(Way::new(|n| {
        let start = Instant::now();
        for _ in 0..n {
            let mut slot = MemorySlot::new(&SlotConfig::new(bytes))?;
            slot.instantiate(image, bytes)?;
            touch(slot.as_mut_slice(), n_pages);
        }
        Ok(start.elapsed())
    }));
    measure_ways(&mut ways, time, MIN_ROUNDS)?;
    let costs = ways.chunks_exact(2).map(|pair| Cost {
        reset: Spread::of(&pair[0].samples),
        cycle: Spread::of(&pair[1].samples),
    });
    let by = strategies.into_iter().zip(costs).collect();
    let fresh = ways.last().map_or(&[][..], |it| &it.samples);
    let first = ways.get(1).map_or(&[][..], |it| &it.samples);
    Ok(Reset {
        n_pages,
        fresh: Spread::of(fresh),
        by,
        comparison: Comparison::new(first, fresh),
    })
}

/// Changes one byte in each of `n_pages` pages, evenly spread.
fn touch(memory: &mut [u8], n_pages: u64) {
    let n_pages = usize::try_from(n_pages).unwrap_or(usize::MAX);
    let stride = memory.len().checked_div(n_pages).unwrap_or(0);
    for nth in 0..n_pages {
        if let Some(byte) = memory.get_mut(nth * stride) {
            *byte = !*byte;
        }
    }
}
