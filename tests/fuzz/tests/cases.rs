//! Runs each fuzz target on a fixed number of inputs, and on those that have found something.
//!
//! The same inputs each time: random bytes; and seeds, made from `tests/modules`, as they are and
//! mutated. Enough of them reach what a target is for. `WASM_MEMINIT_CASES` multiplies their number.

mod mutate;

use core::panic::AssertUnwindSafe;
use std::env;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use wasm_meminit_fuzz::{TARGETS, Target, own_inputs};
use wasm_meminit_test_support::numbers::Numbers;

use crate::mutate::mutate;

/// The longest random input in bytes: a few choices of most targets.
const MAX_RANDOM: usize = 600;

/// Runs an input, and keeps it in a file if it finds something. Returns whether it reached what the
/// target is for.
fn check(target: &Target, input: &[u8]) -> bool {
    if let Ok(is_reached) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        return is_reached;
    }
    let file = env::temp_dir().join(format!("meminit-fuzz-{}", target.name));
    let is_kept = std::fs::write(&file, input).is_ok();
    let file = if is_kept {
        file
    } else {
        PathBuf::from("not kept")
    };
    panic!(
        "to reproduce: cargo xtask fuzz {} --input {}",
        target.name,
        file.display()
    );
}

fn run(target: &Target) {
    let factor = env::var("WASM_MEMINIT_CASES").map_or(1, |it| it.parse().expect("a number"));
    let mut numbers = Numbers(0xf022);
    let seeds = own_inputs();
    let seeds = seeds.iter().flat_map(|it| (target.seeds)(it));
    let seeds: Vec<Vec<u8>> = seeds.filter(|it| it.len() <= target.max_len).collect();
    let mut n_reached = 0;
    for _ in 0..target.n_cases * factor {
        let input = if seeds.is_empty() || numbers.one_in(4) {
            let len = numbers.below(MAX_RANDOM.min(target.max_len));
            (0..len).map(|_| numbers.byte().wrapping_sub(1)).collect()
        } else {
            let mut input = seeds[numbers.below(seeds.len())].clone();
            if !numbers.one_in(3) {
                mutate(&mut input, &mut numbers);
            }
            input
        };
        n_reached += usize::from(check(target, &input));
    }
    let (name, least) = (target.name, target.least * factor);
    println!(
        "{name}: {n_reached} of {} reach what it is for",
        target.n_cases * factor
    );
    assert!(least <= n_reached, "{name}: {n_reached} instead of {least}");
}

#[test]
fn fixed_cases() {
    for target in TARGETS {
        run(target);
    }
}

/// `regressions/TARGET/` holds inputs, each named after what it found.
#[test]
fn inputs_that_found_something() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = package.join("regressions");
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let name = entry.expect("an entry").file_name();
        // Not every system and set of features has every target.
        let binary = package.join("libfuzzer/fuzz_targets").join(&name);
        let is_target = binary.with_extension("rs").is_file();
        assert!(is_target, "no target {}", name.display());
    }
    let mut n_inputs = 0;
    for target in TARGETS {
        let Ok(entries) = std::fs::read_dir(folder.join(target.name)) else {
            continue;
        };
        for entry in entries {
            let file = entry.expect("an entry").path();
            check(target, &std::fs::read(&file).expect("a file"));
            n_inputs += 1;
        }
    }
    assert_ne!(n_inputs, 0);
    println!("{n_inputs} inputs");
}

/// Each target has a binary for libFuzzer, whose first line says the same.
#[test]
fn every_target_has_a_binary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("libfuzzer/fuzz_targets");
    for target in TARGETS {
        let file = folder.join(format!("{}.rs", target.name));
        let text = std::fs::read_to_string(&file).expect("a binary of that name");
        assert!(
            text.starts_with(&format!("//! {}\n", target.about)),
            "{}",
            target.name
        );
        assert!(
            text.contains(&format!("run(\"{}\", ", target.name)),
            "{}",
            target.name
        );
    }
}
