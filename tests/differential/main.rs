//! Compares every way of initialising memories with an independent engine, and
//! `try_static_init` with the reference that it reproduces.
//!
//! One check, four kinds of input: the specification's test suite, our own modules, a corpus
//! of real modules, and generated ones. Each test prints one summary to standard error: what
//! was compared, and what was not, with the reason.
//!
//! `WASM_MEMINIT_CASES` sets the number of generated modules (2,000; a release is
//! checked with 100,000), `WASM_MEMINIT_CORPUS` the directory of the corpus.

extern crate alloc;

mod check;
mod generate;
mod host;
#[path = "../inputs/mod.rs"]
mod inputs;
mod instance;
mod memory;
mod named;
mod oracle;
mod probes;
mod real;
mod reference;
mod shape;
mod share;
mod testsuite;
mod ways;

use core::sync::atomic::{AtomicU64, Ordering};
use std::env;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::check::is_valid;
use crate::generate::{Spec, giants, ordinary, smith_module};
use crate::host::Host;
use crate::inputs::Input;
use crate::ways::{NamedPolicy, policies};

/// The comparisons with the oracle and with the reference.
#[derive(Default)]
struct Tallies {
    oracle: check::Tally,
    reference: reference::Tally,
}

impl Tallies {
    fn add(&mut self, other: Self) {
        self.oracle.add(other.oracle);
        self.reference.add(other.reference);
    }

    /// Prints directly to stderr, since the test harness captures the output of passing tests.
    fn report(&self, test: &str) {
        let (oracle, reference) = (&self.oracle, &self.reference);
        let _ = write!(
            std::io::stderr(),
            "\n{test}: {oracle}{test}, reference: {reference}"
        );
    }
}

/// Runs all checks of one valid module, in these hosts.
fn check(
    wasm: &[u8],
    hosts: &[Host],
    policies: &[NamedPolicy],
    tallies: &mut Tallies,
) -> Result<(), String> {
    check::check(wasm, hosts, policies, &mut tallies.oracle)?;
    reference::check(wasm, &mut tallies.reference)
}

/// Returns hosts for modules that were written for a different one.
fn plain_hosts() -> Vec<Host> {
    let host = |globals: &[i64], extra_wasm_pages, fill| Host {
        globals: globals.to_vec(),
        extra_wasm_pages,
        fill,
    };
    vec![
        // The test suite's own host uses 666 for every global.
        host(&[666], 0, 0xa5),
        // As from a dynamic linker: `__memory_base` and others, in a memory of 64 MiB.
        host(&[5 << 20, 4096, 65_536], 1024, 0),
        host(&[-1, i64::MIN], 1, 0),
    ]
}

fn check_inputs(test: &str, inputs: impl IntoIterator<Item = Input>) {
    let mut tallies = Tallies::default();
    let (small, large) = (policies(false), policies(true));
    let hosts = plain_hosts();
    for input in inputs {
        if !is_valid(&input.wasm) {
            tallies.oracle.skip("invalid on purpose");
            continue;
        }
        let policies = if (256 << 10) < input.wasm.len() {
            &large
        } else {
            &small
        };
        check(&input.wasm, &hosts, policies, &mut tallies)
            .unwrap_or_else(|err| panic!("{}: {err}", input.name));
    }
    tallies.report(test);
}

#[test]
fn the_test_suite() {
    let modules = testsuite::modules();
    assert!(500 < modules.len(), "only {} modules", modules.len());
    check_inputs("test suite", modules);
}

#[test]
fn our_own_modules() {
    check_inputs("tests/modules", inputs::own_modules());
}

#[test]
fn the_corpus() {
    match inputs::corpus() {
        Some(modules) => check_inputs("corpus", modules),
        None => {
            let _ = writeln!(std::io::stderr(), "\ncorpus: not found");
        }
    }
}

/// How many modules are generated from one seed.
const CHUNK: u64 = 100;

#[test]
fn generated_modules() {
    let n_cases: u64 = match env::var("WASM_MEMINIT_CASES") {
        Ok(n) => n.parse().expect("WASM_MEMINIT_CASES is a number"),
        Err(_) => 2_000,
    };
    let next = AtomicU64::new(0);
    let total = Mutex::new(Tallies::default());
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                loop {
                    let chunk = next.fetch_add(1, Ordering::Relaxed);
                    if n_cases <= chunk * CHUNK {
                        break;
                    }
                    let tallies = generated_chunk(chunk);
                    total.lock().expect("no thread panicked").add(tallies);
                }
            });
        }
    });
    let total = total.into_inner().expect("no thread panicked");
    assert!(n_cases <= total.oracle.n_modules);
    total.report("generated");
}

/// Of twenty chunks, twelve have ordinary modules, two have giant memories, and six are from
/// wasm-smith. A chunk gives the same modules on every machine.
fn generated_chunk(chunk: u64) -> Tallies {
    match chunk % 20 {
        0..12 => run_strategy(chunk, ordinary()),
        12..14 => run_strategy(chunk, giants()),
        _ => run_smith(chunk),
    }
}

fn run_strategy(chunk: u64, strategy: impl proptest::strategy::Strategy<Value = Spec>) -> Tallies {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&chunk.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let config = Config {
        cases: u32::try_from(CHUNK).expect("small"),
        failure_persistence: None,
        ..Config::default()
    };
    let policies = policies(false);
    let tallies = Mutex::new(Tallies::default());
    let outcome = TestRunner::new_with_rng(config, rng).run(&strategy, |spec| {
        let wasm = spec.encode();
        if !is_valid(&wasm) {
            return Err(TestCaseError::fail("the generator made an invalid module"));
        }
        let mut tallies = tallies.lock().expect("one thread");
        check(&wasm, &hosts_of(&spec), &policies, &mut tallies).map_err(TestCaseError::fail)
    });
    if let Err(err) = outcome {
        panic!("chunk {chunk}: {err}");
    }
    tallies.into_inner().expect("one thread")
}

/// Returns the host of a spec, and the same with zeroed memories if that differs.
fn hosts_of(spec: &Spec) -> Vec<Host> {
    let mut hosts = vec![spec.host.clone()];
    if spec.host.fill != 0 && spec.memories.iter().any(|it| it.imported) {
        hosts.push(Host {
            fill: 0,
            ..spec.host.clone()
        });
    }
    hosts
}

fn run_smith(chunk: u64) -> Tallies {
    let mut tallies = Tallies::default();
    let policies = policies(false);
    let hosts = plain_hosts();
    for seed in chunk * CHUNK..(chunk + 1) * CHUNK {
        let wasm = smith_module(seed);
        assert!(is_valid(&wasm), "seed {seed}");
        // One host each: the second to fourth of every four seeds differ only in data.
        let nth = usize::try_from(seed).expect("small") % hosts.len();
        check(&wasm, &hosts[nth..=nth], &policies, &mut tallies).unwrap_or_else(|err| {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("smith-{seed}.wasm"));
            let _ = std::fs::write(&file, &wasm);
            panic!("seed {seed} ({}): {err}", file.display())
        });
    }
    tallies
}
