//! Times several ways of doing the same job, in turn.
//!
//! The load on a machine changes from one moment to the next, so a time means little without
//! another one taken at the same moment. Each round times every way once; the results are the
//! median over the rounds, and the median of the ratios within each round.

use core::time::Duration;

/// Does the job the given number of times and returns how long the measured part took.
pub(crate) type Job<'a, E> = Box<dyn FnMut(u32) -> Result<Duration, E> + 'a>;

/// One way of doing the job.
pub(crate) struct Way<'a, E> {
    job: Job<'a, E>,
    /// Repetitions per round: enough for the clock's resolution.
    n_times: u32,
    /// Nanoseconds per repetition, one sample from each round.
    pub(crate) samples: Vec<f64>,
}

/// How long a round of one way should take, and the most repetitions in it.
pub(crate) const ROUND: Duration = Duration::from_micros(200);
const MAX_TIMES: u32 = 1 << 12;

/// Rounds that are not counted.
const N_WARM_UP: usize = 3;

impl<'a, E> Way<'a, E> {
    pub(crate) fn new(job: impl FnMut(u32) -> Result<Duration, E> + 'a) -> Self {
        Self {
            job: Box::new(job),
            n_times: 1,
            samples: Vec::new(),
        }
    }

    /// Returns the median time of one repetition in nanoseconds; `NaN` without samples.
    #[allow(dead_code, reason = "for the benches that include this file")]
    pub(crate) fn median(&self) -> f64 {
        median(self.samples.clone())
    }

    /// Returns the time of this way relative to the other.
    #[allow(dead_code, reason = "for the benches that include this file")]
    pub(crate) fn ratio(&self, other: &Self) -> f64 {
        ratio(&self.samples, &other.samples)
    }

    /// Chooses how often a round repeats the job.
    fn calibrate(&mut self) -> Result<(), E> {
        (self.job)(1)?;
        while (self.job)(self.n_times)? < ROUND && self.n_times < MAX_TIMES {
            self.n_times *= 2;
        }
        Ok(())
    }

    fn sample(&mut self) -> Result<(), E> {
        let took = (self.job)(self.n_times)?;
        self.samples
            .push(took.as_nanos() as f64 / f64::from(self.n_times));
        Ok(())
    }
}

/// Times all ways for about as long as `time`, and at least `min_rounds` rounds.
pub(crate) fn measure<E>(
    ways: &mut [Way<'_, E>],
    time: Duration,
    min_rounds: usize,
) -> Result<(), E> {
    for way in &mut *ways {
        way.calibrate()?;
    }
    for _ in 0..N_WARM_UP {
        ways.iter_mut().try_for_each(Way::sample)?;
    }
    for way in &mut *ways {
        way.samples.clear();
    }
    let start = std::time::Instant::now();
    let mut n_rounds = 0;
    while n_rounds < min_rounds || start.elapsed() < time {
        // Rotate the order: otherwise the first way would always find the caches cold.
        let first = n_rounds % ways.len().max(1);
        let (before, from) = ways.split_at_mut(first);
        from.iter_mut().chain(before).try_for_each(Way::sample)?;
        n_rounds += 1;
    }
    Ok(())
}

/// Returns the median of the ratios within each round.
pub(crate) fn ratio(samples: &[f64], others: &[f64]) -> f64 {
    let pairs = samples.iter().zip(others);
    median(pairs.map(|(one, other)| one / other).collect())
}

/// Returns the median; `NaN` of an empty list.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.get(middle) {
        None => f64::NAN,
        Some(upper) if numbers.len().is_multiple_of(2) => (numbers[middle - 1] + upper) / 2.0,
        Some(number) => *number,
    }
}
