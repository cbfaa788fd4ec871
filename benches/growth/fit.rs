//! Measures how the time of a call grows with the size of its input.

use core::fmt;
use core::time::Duration;

/// Returns the current time.
pub(crate) type Clock = fn() -> Duration;

/// One algorithm on one kind of worst-case input.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Returns the input of a given size; not timed.
    pub(crate) input: fn(u32) -> Vec<u8>,
    /// The call that is timed.
    pub(crate) run: fn(&[u8]),
}

/// The largest exponent allowed. Linear is 1; `n log n` is below 1.1 at these sizes, and
/// exceeding the caches adds a little.
pub(crate) const MOST: f64 = 1.3;

/// Above this exponent, only the algorithm can be the cause.
const QUADRATIC: f64 = 1.7;

/// After as many rounds, no noise is left.
const MAX_ROUNDS: u32 = 30;

/// The measurements of one row.
pub(crate) struct Growth {
    name: &'static str,
    times: Vec<(u32, Duration)>,
    exponent: f64,
}

impl Row {
    /// Measures all sizes in turn, so that load on the machine affects all of them, and takes
    /// the minimum of at least `n_rounds` times. If the growth is too steep, measures again: noise
    /// disappears, growth does not.
    pub(crate) fn measure(&self, sizes: &[u32], n_rounds: u32, now: Clock) -> Growth {
        let inputs: Vec<Vec<u8>> = sizes.iter().map(|size| (self.input)(*size)).collect();
        let mut least = vec![Duration::MAX; sizes.len()];
        let mut exponent = f64::INFINITY;
        for round in 1..=MAX_ROUNDS {
            for (input, least) in inputs.iter().zip(&mut least) {
                let start = now();
                (self.run)(input);
                *least = now().saturating_sub(start).min(*least);
            }
            exponent = slope(sizes, &least);
            // A quadratic algorithm takes its time, and no noise lasts that long.
            let is_certain = exponent < MOST || (10 < round && QUADRATIC < exponent);
            if n_rounds <= round && is_certain {
                break;
            }
        }
        Growth {
            name: self.name,
            times: sizes.iter().copied().zip(least).collect(),
            exponent,
        }
    }
}

impl Growth {
    pub(crate) fn is_steep(&self) -> bool {
        MOST <= self.exponent
    }

    pub(crate) fn is_quadratic(&self) -> bool {
        QUADRATIC < self.exponent
    }
}

/// Returns the slope of the best-fitting line on logarithmic axes.
fn slope(sizes: &[u32], times: &[Duration]) -> f64 {
    let points = || {
        let logs = sizes.iter().zip(times);
        logs.map(|(size, time)| (f64::from(*size).ln(), time.as_secs_f64().ln()))
    };
    let n = sizes.len() as f64;
    let (x, y) = points().fold((0.0, 0.0), |sum, it| (sum.0 + it.0 / n, sum.1 + it.1 / n));
    let above: f64 = points().map(|it| (it.0 - x) * (it.1 - y)).sum();
    let below: f64 = points().map(|it| (it.0 - x) * (it.0 - x)).sum();
    above / below
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<44} {:>5.2} ", self.name, self.exponent)?;
        for (size, time) in &self.times {
            write!(f, "  {size}: {:.2} ms", time.as_secs_f64() * 1e3)?;
        }
        Ok(())
    }
}
