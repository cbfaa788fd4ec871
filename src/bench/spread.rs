//! What samples say: their median and spread, and whether two ways differ.

use super::paired::median;
use crate::text::units::grouped;

/// The median of some samples, and how far they are apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(super) median: f64,
    /// A quarter of the samples is below this.
    pub(super) p25: f64,
    /// A quarter of the samples is above this.
    pub(super) p75: f64,
    /// The number of samples: one for each round.
    pub(super) n_rounds: usize,
}

/// The shortest time that a sample can have, in nanoseconds: a clock that did not advance says
/// only that less time went by than it can tell.
const SHORTEST: f64 = 0.001;

impl Spread {
    pub(super) fn of(samples: &[f64]) -> Self {
        let mut sorted = clamped(samples);
        sorted.sort_by(f64::total_cmp);
        Self {
            median: median(sorted.clone()),
            p25: percentile(&sorted, 0.25),
            p75: percentile(&sorted, 0.75),
            n_rounds: sorted.len(),
        }
    }
}

fn clamped(samples: &[f64]) -> Vec<f64> {
    samples.iter().map(|it| it.max(SHORTEST)).collect()
}

/// Returns the sample at that share of a sorted list; `NaN` of an empty one.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// How one way compares with another that was timed in the same rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Comparison {
    /// The median of the ratios within each round: below 1 if this way is faster.
    pub(super) ratio: f64,
    pub(super) difference: Difference,
}

/// Whether one way is faster than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Faster,
    Slower,
    /// The samples do not tell.
    None,
}

impl Difference {
    /// Returns the word in JSON.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::None => "none",
        }
    }
}

/// What is nearer to 1 than this is no difference, whatever its direction.
const LEAST_DIFFERENCE: f64 = 0.03;

impl Comparison {
    /// Compares samples of the same rounds. There is a difference only if the medians differ
    /// in the same direction as three quarters of the rounds.
    pub(super) fn new(ours: &[f64], theirs: &[f64]) -> Self {
        let (ours, theirs) = (clamped(ours), clamped(theirs));
        let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        let ratio = median(ratios.clone());
        let of_medians = median(ours) / median(theirs);
        let is_faster = |it: f64| it < 1.0 - LEAST_DIFFERENCE;
        let is_slower = |it: f64| 1.0 + LEAST_DIFFERENCE < it;
        let difference =
            if is_faster(ratio) && is_faster(of_medians) && percentile(&ratios, 0.75) < 1.0 {
                Difference::Faster
            } else if is_slower(ratio) && is_slower(of_medians) && 1.0 < percentile(&ratios, 0.25) {
                Difference::Slower
            } else {
                Difference::None
            };
        Self { ratio, difference }
    }
}

/// Formats a positive number with three significant digits: never as zero.
pub(super) fn significant(number: f64) -> String {
    if 100.0 <= number {
        return grouped(number.round() as u64);
    }
    let magnitude = number.abs().log10().floor();
    let decimals = if magnitude.is_finite() {
        2.0 - magnitude
    } else {
        2.0
    };
    let decimals = decimals.clamp(0.0, 12.0) as usize;
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_samples() {
        let samples: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let spread = Spread::of(&samples);
        assert_eq!((spread.p25, spread.median, spread.p75), (25.0, 50.0, 75.0));
        assert_eq!(spread.n_rounds, 101);
        assert_eq!(Spread::of(&[7.0]).p75, 7.0);
        // A clock that did not advance is no time of zero.
        assert!(0.0 < Spread::of(&[0.0]).median);
    }

    #[track_caller]
    fn check(ours: &[f64], theirs: &[f64], difference: Difference) {
        let comparison = Comparison::new(ours, theirs);
        assert_eq!(comparison.difference, difference, "{comparison:?}");
        let swapped = match difference {
            Difference::Faster => Difference::Slower,
            Difference::Slower => Difference::Faster,
            Difference::None => Difference::None,
        };
        assert_eq!(Comparison::new(theirs, ours).difference, swapped);
    }

    #[test]
    fn a_difference_needs_ratios_and_medians_that_agree() {
        check(
            &[1.0, 1.1, 0.9, 1.0],
            &[2.0, 2.2, 1.8, 2.0],
            Difference::Faster,
        );
        check(&[2.0; 5], &[2.0; 5], Difference::None);
        check(&[2.0; 5], &[2.01; 5], Difference::None);
        // The medians say 10 % faster, most rounds say slower: a machine under load.
        check(
            &[1.1, 1.1, 9.0, 9.0, 9.0],
            &[1.0, 1.0, 10.0, 8.0, 10.0],
            Difference::None,
        );
        let (ours, theirs) = ([1.2, 1.2, 1.2, 9.0, 9.0], [1.0, 1.0, 1.0, 9.9, 9.9]);
        check(&ours, &theirs, Difference::None);
        // Four rounds of five are faster, and yet the median is higher.
        check(
            &[1.0, 2.0, 3.0, 4.0, 10.0],
            &[1.1, 2.2, 3.3, 4.4, 0.5],
            Difference::None,
        );
        check(&[0.0; 5], &[1000.0; 5], Difference::Faster);
    }

    #[test]
    fn numbers_are_never_shown_as_zero() {
        for (number, text) in [
            (0.000_423, "0.000423"),
            (0.0123, "0.0123"),
            (0.5, "0.500"),
            (1.0, "1.00"),
            (12.34, "12.3"),
            (99.99, "100.0"),
            (1234.5, "1,235"),
        ] {
            assert_eq!(significant(number), text);
        }
        assert!(significant(1e-9).contains(|it| ('1'..='9').contains(&it)));
    }
}
