//! Checks that the figures in `docs/toolchains/README.md` are those that `run.sh` printed.

use crate::page;

#[test]
fn figures_are_those_of_the_run() {
    let text = page("docs/toolchains/README.md");
    let results = page("docs/toolchains/results.txt");
    let mut n_rows = 0;
    for line in text.lines().filter(|it| it.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [.., baked, total] = cells.as_slice() else {
            continue;
        };
        if !total.ends_with(|it: char| it.is_ascii_digit()) {
            continue; // a title
        }
        let found = format!(": {baked} of {total} bytes");
        let decision = cells.iter().rev().nth(2).copied().unwrap_or_default();
        let is_same = |it: &&str| {
            let share = it.rsplit('|').nth(1).unwrap_or_default().trim();
            // A column between may count segments, or the decision names them.
            let words = [decision, cells.get(1).copied().unwrap_or_default()];
            let mut words = words.iter().filter_map(|it| it.split(',').next());
            share.contains(&found) && words.any(|it| !it.is_empty() && share.starts_with(it))
        };
        assert!(
            results.lines().any(|line| is_same(&line)),
            "no line of the results has {line}"
        );
        n_rows += 1;
    }
    assert!(30 <= n_rows, "{n_rows} rows");
}
