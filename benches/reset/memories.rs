//! Figures from several memories.

use core::time::Duration;

use crate::paired::median;

/// The cost of a copy depends on the placement of physical pages, so each figure is the median
/// over this many memories.
const N_MEMORIES: u32 = 15;

/// Calls `one` for each memory, with its part of the time. Returns the medians of the figures, or
/// `None` if there are none for a memory.
pub(crate) fn medians<const N: usize>(
    time: Duration,
    one: impl Fn(Duration) -> Option<[f64; N]>,
) -> Option<[f64; N]> {
    let sets = (0..N_MEMORIES).map(|_| one(time / N_MEMORIES));
    let sets: Vec<[f64; N]> = sets.collect::<Option<_>>()?;
    let figure = |nth: usize| median(sets.iter().map(|set| set[nth]).collect());
    Some(core::array::from_fn(figure))
}
