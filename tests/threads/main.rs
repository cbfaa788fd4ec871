//! Threaded modules: the data that wasm-ld's start function copies is baked, and an instance
//! that starts from the image ends in the same state as one that does not.
//!
//! wasmi has no threads, so the module that it runs has plain instructions instead of atomic
//! ones; see `emulate`. `WASM_MEMINIT_CASES` sets the number of generated modules (default:
//! 500); if it is set, bytes are changed to all values, not only to those one bit away.
//! `WASM_MEMINIT_CORPUS` sets the directory of the corpus.

extern crate alloc;

mod check;
mod emulate;
mod forms;
mod start;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use wasm_meminit_analysis::{Module, StartReason};
use wasm_meminit_test_oracle::generate::{are_cases_set, n_cases};
use wasm_meminit_test_oracle::inputs;
use wasm_meminit_test_oracle::report::report;
use wasm_meminit_test_oracle::valid::is_valid;
use wasmparser::{Parser, Payload};

use crate::check::{Tally, check};

#[test]
fn generated_forms() {
    let cases = u32::try_from(n_cases()).expect("fewer than 2^32");
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tally = core::cell::RefCell::new(Tally::default());
    TestRunner::new_with_rng(config, rng)
        .run(&forms::form(), |form| {
            let wasm = form.wasm();
            assert!(is_valid(&wasm), "{form:?}");
            let base = form.base.unwrap_or(0).into();
            let refused =
                check(&wasm, base, &mut tally.borrow_mut()).map_err(TestCaseError::fail)?;
            if refused.is_none() == form.is_sound() {
                return Ok(());
            }
            Err(TestCaseError::fail(format!("refused: {refused:?}")))
        })
        .unwrap_or_else(|err| panic!("{err}"));
    let tally = tally.into_inner();
    assert!(tally.n_refused != 0 && tally.n_baked != 0);
    report(&format!("threads: generated: {tally:?}"));
}

/// Changes every byte of every function: a function that is still recognised as wasm-ld's has
/// the same effect.
#[test]
fn changed_bytes() {
    let mut tally = Tally::default();
    let mut n_invalid = 0;
    for form in forms::full() {
        let wasm = form.wasm();
        let base = form.base.unwrap_or(0).into();
        let refused = check(&wasm, base, &mut Tally::default()).expect("unchanged");
        assert_eq!(refused, None, "{form:?}");
        for at in bodies(&wasm) {
            for value in values(wasm[at]) {
                let mut changed = wasm.clone();
                changed[at] = value;
                if changed == wasm || !is_valid(&changed) {
                    n_invalid += 1;
                    continue;
                }
                check(&changed, base, &mut tally).unwrap_or_else(|err| {
                    panic!("byte {at:#x} is {value:#x}: {err}\n{form:?}");
                });
            }
        }
    }
    assert!(tally.n_refused != 0 && tally.n_baked != 0);
    report(&format!("threads: changed: {tally:?}, {n_invalid} invalid"));
}

fn values(byte: u8) -> Vec<u8> {
    match are_cases_set() {
        true => (0..=u8::MAX).collect(),
        false => (0..8).map(|bit| byte ^ (1 << bit)).collect(),
    }
}

/// Returns the byte positions of all function bodies.
fn bodies(wasm: &[u8]) -> Vec<usize> {
    let mut positions = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CodeSectionEntry(body) = payload.expect("valid") {
            let range = body.range();
            positions.extend(range.map(|at| usize::try_from(at).expect("in the module")));
        }
    }
    positions
}

#[test]
fn own_modules_and_the_corpus() {
    let mut names = Vec::new();
    let mut tally = Tally::default();
    let corpus = inputs::corpus();
    let has_corpus = corpus.is_some();
    for input in inputs::own_modules()
        .into_iter()
        .chain(corpus.into_iter().flatten())
    {
        let module = Module::parse(&input.wasm).expect("valid");
        let has_passive = module.passive_segments().next().is_some();
        if !has_passive || module.start().is_none() {
            continue;
        }
        let refused = check(&input.wasm, 1024, &mut tally)
            .unwrap_or_else(|err| panic!("{}: {err}", input.name));
        assert_eq!(refused, None, "{}", input.name);
        names.push(input.name);
    }
    let own = ["threads.wasm", "threads-pic.wasm", "threads64.wasm"];
    assert!(
        own.iter().all(|it| names.iter().any(|name| name == it)),
        "{names:?}"
    );
    report(&format!(
        "threads: {tally:?} of {names:?}, corpus: {has_corpus}"
    ));
}

/// Missing promises, and other obstacles.
#[test]
fn refusals_name_the_reason() {
    use wasm_meminit_analysis::{HostPageSize, Plan, Policy, StartFunction};
    let reason = |wasm: &[u8], policy: Policy| {
        let module = Module::parse(wasm).expect("valid");
        *Plan::new(&module, &policy).start().expect_err("refused")
    };
    let balanced = Policy::balanced(HostPageSize::KIB_4);
    let emptied = balanced.with_start_function(StartFunction::WritesStripped);
    let [full, with_base] = [0, 2].map(|nth| forms::full().swap_remove(nth));

    let wasm = full.wasm();
    assert_eq!(reason(&wasm, balanced), StartReason::NotAsked);
    let reference =
        Policy::reference(HostPageSize::KIB_4).with_start_function(StartFunction::WritesStripped);
    assert_eq!(reason(&wasm, reference), StartReason::Policy);

    let mut imported = full;
    imported.is_imported = true;
    let wasm = imported.wasm();
    assert_eq!(reason(&wasm, emptied), StartReason::ImportedMemory);

    let wasm = with_base.wasm();
    let reason = reason(&wasm, emptied.with_zeroed_imports(true));
    assert!(
        matches!(reason, StartReason::DynamicOffset { .. }),
        "{reason:?}"
    );
}
