//! Reads a report in the format of LCOV: of each file, how often each line ran.

use alloc::collections::BTreeMap;

use anyhow::Context;

/// A file of a library, and how often each of its lines ran.
pub(super) struct Lines {
    pub(super) name: String,
    pub(super) lines: BTreeMap<usize, u64>,
}

impl Lines {
    pub(super) fn n_covered(&self) -> usize {
        self.lines.values().filter(|hits| **hits != 0).count()
    }

    /// Returns the lines that did not run: single ones, and ranges such as `3-5`.
    pub(super) fn uncovered(&self) -> String {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        // Whether the last line that has code did not run, either: lines without code, as
        // comments, divide no range.
        let mut continues = false;
        for (number, hits) in &self.lines {
            match (hits, ranges.last_mut()) {
                (0, Some((_, end))) if continues => *end = *number,
                (0, _) => ranges.push((*number, *number)),
                _ => {}
            }
            continues = *hits == 0;
        }
        let ranges: Vec<String> = ranges
            .iter()
            .map(|(start, end)| match start == end {
                true => start.to_string(),
                false => format!("{start}-{end}"),
            })
            .collect();
        ranges.join(", ")
    }
}

/// Returns the path of each file, and how often each of its lines ran.
pub(super) fn parse(report: &str) -> anyhow::Result<BTreeMap<String, BTreeMap<usize, u64>>> {
    let mut files = BTreeMap::<String, BTreeMap<usize, u64>>::new();
    let mut file = None;
    for line in report.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = Some(files.entry(path.to_owned()).or_default());
        } else if let Some(data) = line.strip_prefix("DA:") {
            let mut fields = data.split(',');
            let mut number = || fields.next()?.parse::<u64>().ok();
            let counts = number().zip(number());
            let (number, hits) = counts.with_context(|| format!("not a count: {line}"))?;
            let file = file.as_mut().context("a count before the first file")?;
            *file.entry(usize::try_from(number)?).or_default() += hits;
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_a_line_are_added_and_ranges_are_joined() {
        let report = "SF:a.rs\nFN:1,name\nDA:1,0\nDA:2,0\nDA:5,0\nDA:6,7\nDA:8,0\nLF:5\nLH:1\n\
                      end_of_record\nSF:b.rs\nDA:1,1,checksum\nend_of_record\nSF:a.rs\nDA:2,0\nDA:8,0\n";
        let mut files = parse(report).expect("a report");
        assert_eq!(files["b.rs"], BTreeMap::from([(1, 1)]));
        let lines = Lines {
            name: "a.rs".to_owned(),
            lines: files.remove("a.rs").expect("two records"),
        };
        assert_eq!(lines.n_covered(), 1);
        assert_eq!(lines.uncovered(), "1-5, 8");
        assert!(parse("DA:1,1").is_err());
        assert!(parse("SF:a\nDA:x,1").is_err());
    }
}
