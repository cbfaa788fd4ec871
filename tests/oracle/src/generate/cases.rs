//! Runs a check on inputs, or on generated modules, on all processors. A generated module is
//! the same on every machine.

use core::hint;
use core::sync::atomic::{AtomicU64, Ordering};
use std::env;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::{Spec, giants, ordinary, smith_module};
use crate::host::Host;
use crate::inputs::Input;
use crate::valid::is_valid;

/// How many modules are generated from one seed.
const CHUNK: u64 = 100;

/// What the check of each case adds to.
pub trait Tally: Default + Send {
    fn add(&mut self, other: Self);

    /// Counts an input that is not checked.
    fn skip(&mut self, _reason: &str) {}
}

/// A valid module.
pub struct Case<'a> {
    pub wasm: &'a [u8],
    /// Hosts that were generated with it, or those of the caller.
    pub hosts: &'a [Host],
    /// Counts the modules of wasm-smith; `None` for those of our strategies.
    pub nth_smith: Option<usize>,
}

/// Returns the value of `WASM_MEMINIT_CASES`. Default: 500.
pub fn n_cases() -> u64 {
    match env::var("WASM_MEMINIT_CASES") {
        Ok(n) => n.parse().expect("WASM_MEMINIT_CASES is a number"),
        Err(_) => 500,
    }
}

/// Whether `WASM_MEMINIT_CASES` is set: then nothing is left out to save time.
pub fn are_cases_set() -> bool {
    env::var_os("WASM_MEMINIT_CASES").is_some()
}

/// Checks at least [`n_cases`] modules, and panics with the smallest failing one. Of twenty
/// chunks, twelve have ordinary modules, two have giant memories, and six are from wasm-smith.
///
/// Tests with different `salt` see different modules. `hosts` are for modules that come
/// without one.
pub fn check_generated<T: Tally>(
    salt: u32,
    hosts: &[Host],
    check: impl Fn(Case<'_>, &mut T) -> Result<(), String> + Sync,
) -> T {
    on_all_processors(n_cases().div_ceil(CHUNK), |chunk| {
        let seed = chunk | u64::from(salt) << 32;
        match chunk % 20 {
            0..12 => run_strategy(seed, ordinary(), &check),
            12..14 => run_strategy(seed, giants(), &check),
            _ => run_smith(seed, hosts, &check),
        }
    })
}

/// Checks every valid input, and panics with the name of one that fails.
pub fn check_inputs<T: Tally>(
    inputs: &[Input],
    check: impl Fn(&Input, &mut T) -> Result<(), String> + Sync,
) -> T {
    on_all_processors(inputs.len() as u64, |nth| {
        let mut tally = T::default();
        let input = &inputs[usize::try_from(nth).expect("of that length")];
        if is_valid(&input.wasm) {
            check(input, &mut tally).unwrap_or_else(|err| panic!("{}: {err}", input.name));
        } else {
            tally.skip("invalid on purpose");
        }
        tally
    })
}

/// glibc's allocator gets each large block from the system, page by page, until one has been freed:
/// the memories of hundreds of instances would take longer than everything that is done with them.
const LARGE_BLOCK: usize = 31 << 20;

/// Sums up what `run` returns for each number below `n`.
fn on_all_processors<T: Tally>(n: u64, run: impl Fn(u64) -> T + Sync) -> T {
    drop(hint::black_box(vec![1_u8; LARGE_BLOCK]));
    let next = AtomicU64::new(0);
    let total = Mutex::new(T::default());
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if n <= nth {
                        break;
                    }
                    let tally = run(nth);
                    total.lock().expect("no thread panicked").add(tally);
                }
            });
        }
    });
    total.into_inner().expect("no thread panicked")
}

fn run_strategy<T: Tally>(
    seed: u64,
    strategy: impl Strategy<Value = Spec>,
    check: &impl Fn(Case<'_>, &mut T) -> Result<(), String>,
) -> T {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases: u32::try_from(CHUNK).expect("small"),
        failure_persistence: None,
        ..Config::default()
    };
    let tally = Mutex::new(T::default());
    let outcome = TestRunner::new_with_rng(config, rng).run(&strategy, |spec| {
        let wasm = spec.encode();
        if !is_valid(&wasm) {
            return Err(TestCaseError::fail("the generator made an invalid module"));
        }
        let case = Case {
            wasm: &wasm,
            hosts: &hosts_of(&spec),
            nth_smith: None,
        };
        check(case, &mut tally.lock().expect("one thread")).map_err(TestCaseError::fail)
    });
    if let Err(err) = outcome {
        panic!("chunk {seed}: {err}");
    }
    tally.into_inner().expect("one thread")
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

fn run_smith<T: Tally>(
    seed: u64,
    hosts: &[Host],
    check: &impl Fn(Case<'_>, &mut T) -> Result<(), String>,
) -> T {
    let mut tally = T::default();
    for nth in 0..CHUNK {
        let seed = seed * CHUNK + nth;
        let wasm = smith_module(seed);
        assert!(is_valid(&wasm), "seed {seed}");
        let case = Case {
            wasm: &wasm,
            hosts,
            nth_smith: Some(usize::try_from(nth).expect("small")),
        };
        check(case, &mut tally).unwrap_or_else(|err| {
            let file = env::temp_dir().join(format!("meminit-smith-{seed}.wasm"));
            let kept = std::fs::write(&file, &wasm).map(|()| file.as_path());
            let kept = kept.unwrap_or(Path::new("not kept"));
            panic!("seed {seed} ({}): {err}", kept.display())
        });
    }
    tally
}
