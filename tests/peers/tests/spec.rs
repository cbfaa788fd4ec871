//! The specification's scripts have the same outcomes with prepared modules, assertion by
//! assertion, as in the engine by itself.

extern crate alloc;

use alloc::collections::BTreeMap;

use wasm_meminit_peers::spec::{Outcome, Pair, pairs, scripts};

/// What came of the assertions of many scripts.
#[derive(Default)]
struct Counts {
    n_scripts: usize,
    n_passed: usize,
    n_failed: usize,
    skipped: BTreeMap<&'static str, usize>,
}

fn compare(pair: &Pair) -> Vec<String> {
    let mut counts = Counts::default();
    let mut differences = Vec::new();
    for file in scripts() {
        let name = format!("{}/{}", file.parent(), file.name());
        let alone = pair
            .alone
            .run(&file)
            .unwrap_or_else(|err| panic!("{name}: {err:#}"));
        let ours = pair
            .ours
            .run(&file)
            .unwrap_or_else(|err| panic!("{name}: {err:#}"));
        counts.n_scripts += 1;
        assert_eq!(alone.len(), ours.len(), "{name}: steps");
        for (alone, ours) in alone.into_iter().zip(ours) {
            assert_eq!(alone.line, ours.line, "{name}");
            match &alone.outcome {
                _ if !alone.is_assertion => {}
                Outcome::Passed => counts.n_passed += 1,
                Outcome::Failed(_) => counts.n_failed += 1,
                Outcome::Skipped(reason) => *counts.skipped.entry(reason).or_default() += 1,
            }
            // What the engine cannot do by itself may fail with another message, or succeed: an
            // address that it cannot compute may be known ahead of time.
            let is_same = match (&alone.outcome, &ours.outcome) {
                (Outcome::Failed(_), Outcome::Failed(_) | Outcome::Passed) => true,
                (alone, ours) => alone == ours,
            };
            if !is_same {
                let line = ours.line;
                let (alone, ours) = (alone.outcome, ours.outcome);
                let name = format!("{}, {name}:{line}", pair.ours.name());
                differences.push(format!("{name}: {alone:?}, ours {ours:?}"));
            }
        }
    }
    println!(
        "{}: {} scripts, {} assertions pass in the engine by itself, {} fail in it; {} differences",
        pair.ours.name(),
        counts.n_scripts,
        counts.n_passed,
        counts.n_failed,
        differences.len(),
    );
    for (reason, n) in &counts.skipped {
        println!("  {n} skipped: {reason}");
    }
    assert!(
        10_000 < counts.n_passed,
        "{} assertions passed",
        counts.n_passed
    );
    differences
}

#[test]
fn scripts_have_the_same_outcomes() {
    let pairs = pairs().expect("engines");
    let differences: Vec<String> = pairs.iter().flat_map(compare).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}
