//! Reverts past fixes one by one in a copy of the project, and expects the tests that name each
//! of them to fail.
//!
//! A fix is a line or a few that a mistake once made necessary. Without it, the promise in its
//! description does not hold, and a test has to notice. Tests also run with every fix in place
//! first: one that fails anyway proves nothing.
//!
//! This is not a step of ci, because each fix compiles a library again. A unit test checks that
//! the lists match the source, and that is part of ci.

mod analysis;
mod apply_pool;
mod apply_slot;
mod apply_system;
mod artifact;
mod engines;
mod fix;
mod rewrite;
mod suites;
mod tool;
mod xtask;

use alloc::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Instant;

use anyhow::{bail, ensure};
use xshell::Shell;

use self::fix::Fix;
use self::suites::{Suites, Test, Verdict};
use crate::{copy, metadata};

/// Sorted by package and file, so that consecutive fixes compile the same crates again.
const LISTS: &[&[Fix]] = &[
    analysis::FIXES,
    artifact::FIXES,
    rewrite::FIXES,
    apply_system::FIXES,
    apply_slot::FIXES,
    apply_pool::FIXES,
    tool::FIXES,
    xtask::FIXES,
];

/// The copy, and what is compiled from it, in cargo's target directory.
const COPY: &str = "revert-fixes/tree";
const TARGET: &str = "revert-fixes/target";

/// How many fixes were reverted, and how many tests named them.
#[derive(Debug, Default)]
struct Tally {
    n_fixes: usize,
    n_tests: usize,
}

/// With words, reverts only the fixes whose description or file contains one of them. With
/// `--engines`, reverts those whose tests need an engine, which takes minutes to compile.
pub(crate) fn task(sh: &Shell, args: &[String]) -> anyhow::Result<()> {
    let start = Instant::now();
    let (options, words): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|it| it.starts_with("--"));
    let lists = match options.as_slice() {
        [] => LISTS,
        [engines] if *engines == "--engines" => &[engines::FIXES],
        _ => bail!("the only option is --engines"),
    };
    let is_wanted = |fix: &&Fix| {
        let contains = |word: &&String| fix.what.contains(*word) || fix.file.contains(*word);
        words.is_empty() || words.iter().any(contains)
    };
    let wanted: Vec<&Fix> = lists.iter().copied().flatten().filter(is_wanted).collect();
    ensure!(!wanted.is_empty(), "no fix is described by these words");
    let target = metadata::target_directory(sh)?;
    let (root, copy) = (sh.current_dir(), target.join(COPY));
    copy::files(sh, &root, &copy)?;
    let suites = Suites::new(sh, copy.clone(), target.join(TARGET))?;

    println!("with every fix");
    let mut tests = BTreeSet::new();
    for fix in &wanted {
        tests.extend(fix.tests(&suites)?);
    }
    let passed = |(test, verdict): &(Test, Verdict)| match verdict {
        Verdict::Passes => true,
        _ => {
            println!("    {verdict:<9}{test}");
            false
        }
    };
    let verdicts = suites.run(tests)?;
    ensure!(
        verdicts.iter().filter(|it| !passed(it)).count() == 0,
        "tests that fail with every fix in place prove nothing"
    );
    println!("    {} tests pass: {:.0?}", verdicts.len(), start.elapsed());

    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut missed = Vec::new();
    for fix in &wanted {
        println!("without: {}", fix.what);
        let file = copy.join(fix.file);
        let text = fs::read_to_string(&file)?;
        fs::write(&file, fix.without(&text)?)?;
        let verdicts = fix.tests(&suites).and_then(|tests| suites.run(tests));
        fs::write(&file, text)?;
        let tally = tallies.entry(fix.package()).or_default();
        tally.n_fixes += 1;
        for (test, verdict) in verdicts? {
            println!("    {verdict:<9}{test}");
            tally.n_tests += 1;
            if verdict != Verdict::Fails {
                missed.push(format!("{}: {test}", fix.what));
            }
        }
    }
    for (package, Tally { n_fixes, n_tests }) in tallies {
        println!("{package}: {n_fixes} fixes, {n_tests} tests");
    }
    println!("{:.0?}", start.elapsed());
    if missed.is_empty() {
        return Ok(());
    }
    bail!("not noticed without the fix:\n{}", missed.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn each_fix_is_in_its_file_once_and_its_tests_exist() {
        let root = crate::root();
        let sh = Shell::new().expect("a shell");
        sh.change_dir(&root);
        let suites = Suites::new(&sh, root.clone(), PathBuf::new()).expect("metadata");
        let mut seen = BTreeSet::new();
        let lists = LISTS.iter().chain([&engines::FIXES]);
        for fix in lists.copied().flatten() {
            assert!(seen.insert(fix.what), "twice: {}", fix.what);
            let text = fs::read_to_string(root.join(fix.file)).expect("the file");
            let without = fix.without(&text).expect("it occurs once");
            assert_ne!(without, text, "{}", fix.what);
            let tests = fix.tests(&suites).expect("a suite");
            assert!(!tests.is_empty(), "{}", fix.what);
            for test in tests {
                assert!(suites.contains(&test), "{}: no test {test}", fix.what);
            }
        }
    }
}
