//! Compares every way of initialising memories with an independent engine.
//!
//! One check, four kinds of input: the specification's test suite, our own modules, a corpus
//! of real modules, and generated ones. Each test prints one summary to standard error: what
//! was compared, and what was not, with the reason.
//!
//! `WASM_MEMINIT_CASES` sets the number of generated modules (500; a release is
//! checked with 100,000), `WASM_MEMINIT_CORPUS` the directory of the corpus. Without the first,
//! each host sees a third of the policies.

extern crate alloc;

mod check;
mod named;
mod probes;
mod real;
mod share;
mod ways;

use wasm_meminit_test_oracle::generate::{are_cases_set, check_generated, check_inputs, n_cases};
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::inputs::{self, Input};
use wasm_meminit_test_oracle::report::report;
use wasm_meminit_test_oracle::testsuite;

use crate::check::{Tally, check};
use crate::ways::policies;

/// Returns hosts for modules that were written for a different one.
fn plain_hosts() -> Vec<Host> {
    vec![
        // The test suite's own host uses 666 for every global.
        Host::new(&[666], 0, 0xa5),
        // As from a dynamic linker: `__memory_base` and others, in a memory of 64 MiB.
        Host::new(&[5 << 20, 4096, 65_536], 1024, 0),
        Host::new(&[-1, i64::MIN], 1, 0),
    ]
}

/// In every change, a host sees a third of the policies; with a number of cases, all.
fn one_in() -> usize {
    if are_cases_set() { 1 } else { 3 }
}

fn check_all(test: &str, inputs: &[Input], one_in: usize) {
    let (small, large) = (policies(false), policies(true));
    let hosts = plain_hosts();
    let tally: Tally = check_inputs(inputs, |input, tally| {
        let is_large = (256 << 10) < input.wasm.len();
        let policies = if is_large { &large } else { &small };
        check(&input.wasm, &hosts, policies, one_in, tally)
    });
    report(&format!("{test}: {tally}"));
}

#[test]
fn the_test_suite() {
    let modules = testsuite::modules();
    assert!(500 < modules.len(), "only {} modules", modules.len());
    check_all("test suite", &modules, one_in());
}

#[test]
fn our_own_modules() {
    check_all("tests/modules", &inputs::own_modules(), 1);
}

#[test]
fn the_corpus() {
    match inputs::corpus() {
        Some(modules) => check_all("corpus", &modules, one_in()),
        None => report("corpus: WASM_MEMINIT_CORPUS is not set"),
    }
}

#[test]
fn generated_modules() {
    let policies = policies(false);
    let tally: Tally = check_generated(0, &plain_hosts(), |case, tally| {
        // One host for each module of wasm-smith: the second to fourth of every four seeds
        // differ only in data.
        let hosts = match case.nth_smith.map(|nth| nth % case.hosts.len()) {
            Some(nth) => &case.hosts[nth..=nth],
            None => case.hosts,
        };
        check(case.wasm, hosts, &policies, one_in(), tally)
    });
    assert!(n_cases() <= tally.n_modules);
    report(&format!("generated: {tally}"));
}
