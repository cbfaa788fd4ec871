//! What the measurements of a memory mean, in words.

use super::report::Measured;
use super::resets::Reset;
use super::spread::Difference;
use super::starts::Start;
use crate::text::units::{counted, grouped};

/// Returns a sentence on the start from the image, and one on resets.
pub(super) fn sentences(measured: &Measured) -> Vec<String> {
    let starts = measured.starts.iter().find(|it| it.way == "map");
    let starts = starts.map(start);
    starts.into_iter().chain(resets(&measured.resets)).collect()
}

fn start(map: &Start) -> String {
    let what = "mapping the image at a fresh start";
    let other = "replaying the segments";
    match map.comparison.difference {
        Difference::Faster => {
            let times = times(1.0 / map.comparison.ratio);
            format!("{what} is {times} cheaper than {other}")
        }
        Difference::Slower => {
            let times = times(map.comparison.ratio);
            format!("{what} is {times} more expensive than {other}")
        }
        Difference::None => format!("no difference measured between {what} and {other}"),
    }
}

/// Compares resets by the default strategy with a fresh memory for each use.
fn resets(resets: &[Reset]) -> Option<String> {
    let is_cheaper = |it: &Reset| it.comparison.difference == Difference::Faster;
    let pages = |it: &Reset| counted(it.n_pages, "page");
    let gain = |it: &Reset| times(1.0 / it.comparison.ratio);
    let (first, last) = (resets.first()?, resets.last()?);
    let n_cheaper = resets.iter().take_while(|it| is_cheaper(it)).count();
    let (cheaper, others) = resets.split_at(n_cheaper);
    let what = "cheaper than a fresh start, for";
    Some(match (cheaper, others) {
        ([], [_, rest @ ..]) if rest.iter().any(is_cheaper) => {
            // Not in the order that one expects: no single break-even describes it.
            let best = resets
                .iter()
                .filter(|it| is_cheaper(it))
                .min_by(|a, b| a.comparison.ratio.total_cmp(&b.comparison.ratio))?;
            let (gain, pages) = (gain(best), pages(best));
            format!(
                "a reset is up to {gain} {what} a use that writes {pages}, but not for all uses"
            )
        }
        ([], _) => format!(
            "a reset is not measurably {what} uses that write {}",
            range(first, last)
        ),
        ([only], []) => format!(
            "a reset is {} {what} a use that writes {}",
            gain(only),
            pages(only)
        ),
        ([from, .., to], []) => format!(
            "a reset is {} to {} {what} uses that write {}; no break-even among them",
            gain(from),
            gain(to),
            range(from, to)
        ),
        ([from, ..], [after, ..]) => format!(
            "a reset is {} {what} a use that writes {}; break-even between {} and {}",
            gain(from),
            pages(from),
            grouped(cheaper.last()?.n_pages),
            pages(after)
        ),
    })
}

fn range(first: &Reset, last: &Reset) -> String {
    match first.n_pages == last.n_pages {
        true => counted(first.n_pages, "page"),
        false => format!(
            "{} to {}",
            grouped(first.n_pages),
            counted(last.n_pages, "page")
        ),
    }
}

/// Formats how many times as cheap or as expensive, with two significant digits.
fn times(ratio: f64) -> String {
    match ratio {
        ..9.95 => format!("{ratio:.1}×"),
        _ => format!("{}×", grouped(ratio.round() as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::spread::{Comparison, Spread};
    use super::*;

    #[track_caller]
    fn check(rows: &[(u64, f64)], expected: &str) {
        let rows: Vec<Reset> = rows
            .iter()
            .map(|&(n_pages, ratio)| Reset {
                n_pages,
                fresh: Spread::of(&[1.0]),
                by: Vec::new(),
                comparison: Comparison::new(&[ratio; 5], &[1.0; 5]),
            })
            .collect();
        assert_eq!(resets(&rows).expect("a sentence"), expected);
    }

    #[test]
    fn the_verdict_names_the_break_even() {
        let rows = [
            (1, 1.0 / 37.0),
            (16, 0.1),
            (32, 0.5),
            (64, 1.01),
            (256, 1.5),
        ];
        check(
            &rows,
            "a reset is 37× cheaper than a fresh start, for a use that writes 1 page; break-even \
             between 32 and 64 pages",
        );
        check(
            &rows[..3],
            "a reset is 37× to 2.0× cheaper than a fresh start, for uses that write 1 to 32 \
             pages; no break-even among them",
        );
        check(
            &rows[3..],
            "a reset is not measurably cheaper than a fresh start, for uses that write 64 to 256 \
             pages",
        );
        check(
            &rows[2..3],
            "a reset is 2.0× cheaper than a fresh start, for a use that writes 32 pages",
        );
        check(
            &[(0, 1.0), (1, 0.5)],
            "a reset is up to 2.0× cheaper than a fresh start, for a use that writes 1 page, but \
             not for all uses",
        );
    }
}
