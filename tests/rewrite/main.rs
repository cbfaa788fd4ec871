//! Rewritten modules initialise their memories exactly as the originals do: packed modules on
//! their own, stripped modules on top of the image, externalized modules in memories of the
//! host.
//!
//! Inputs and oracles are those of the differential tests. `WASM_MEMINIT_CASES` sets the
//! number of generated modules (2,000), `WASM_MEMINIT_CORPUS` the directory of the corpus.

extern crate alloc;

mod damaged;

#[path = "../differential/generate/mod.rs"]
#[allow(unused_imports, reason = "shared with the differential tests")]
mod generate;
#[path = "../differential/host.rs"]
mod host;
#[path = "../inputs/mod.rs"]
mod inputs;
#[path = "../differential/instance.rs"]
mod instance;
#[path = "../differential/memory.rs"]
#[allow(dead_code, reason = "shared with the differential tests")]
mod memory;
#[path = "../differential/oracle/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the differential tests"
)]
mod oracle;
mod programs;
mod same_memory;
#[path = "../differential/shape.rs"]
#[allow(dead_code, reason = "shared with the differential tests")]
mod shape;
mod snapshot;
#[path = "../differential/testsuite.rs"]
mod testsuite;

use std::env;
use std::io::{Seek, Write};
use std::process::Command;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use wasm_meminit_analysis::Module;
use wasm_meminit_image_builder::rewrite::{PackFor, PackOptions, pack};

use crate::generate::{giants, ordinary, smith_module};
use crate::host::Host;
use crate::inputs::Input;
use crate::same_memory::{Tally, check, is_valid};

fn hosts() -> Vec<Host> {
    let host = |globals: &[i64], extra_wasm_pages, fill| Host {
        globals: globals.to_vec(),
        extra_wasm_pages,
        fill,
    };
    vec![host(&[1024, 4096, 65_536], 1024, 0), host(&[666], 0, 0xa5)]
}

/// Prints directly to stderr, since the test harness captures the output of passing tests.
fn report(line: &str) {
    let _ = writeln!(std::io::stderr(), "\n{line}");
}

fn check_inputs(test: &str, inputs: impl IntoIterator<Item = Input>) {
    let mut tally = Tally::default();
    for input in inputs {
        if is_valid(&input.wasm) {
            check(&input.wasm, &hosts(), &mut tally)
                .unwrap_or_else(|err| panic!("{}: {err}", input.name));
        }
    }
    report(&format!("{test}: {tally}"));
}

#[test]
fn the_test_suite() {
    check_inputs("test suite", testsuite::modules());
}

#[test]
fn our_own_modules() {
    check_inputs("tests/modules", inputs::own_modules());
}

#[test]
fn the_corpus() {
    let Some(modules) = inputs::corpus() else {
        return report("corpus: not found");
    };
    for input in &modules {
        let module = Module::parse(&input.wasm).unwrap_or_else(|err| panic!("{err}"));
        let before = gzipped_len(&input.wasm);
        for objective in [
            PackFor::Balanced,
            PackFor::Size,
            PackFor::Compressed,
            PackFor::Start,
        ] {
            let options = PackOptions::default().with_objective(objective);
            let packed = pack(&module, &options).unwrap_or_else(|err| panic!("{err}"));
            let after = match packed.is_changed {
                true => gzipped_len(&packed.wasm),
                false => before,
            };
            let gzipped = [before, after];
            report(&format!(
                "{}, {objective:?}: {} -> {} segments, data section {} -> {} bytes, \
                 file {} -> {}, after gzip -9 {gzipped:?}",
                input.name,
                packed.before.segments,
                packed.after.segments,
                packed.before.bytes,
                packed.after.bytes,
                input.wasm.len(),
                packed.wasm.len(),
            ));
            if let ([Some(before), Some(after)], PackFor::Balanced | PackFor::Compressed) =
                (gzipped, objective)
            {
                assert!(after <= before, "{}: {before} -> {after}", input.name);
            }
        }
    }
    check_inputs("corpus", modules);
}

/// Returns the size after `gzip -9`, or `None` if there is no gzip.
fn gzipped_len(wasm: &[u8]) -> Option<usize> {
    let mut file = tempfile::tempfile().ok()?;
    file.write_all(wasm).ok()?;
    file.rewind().ok()?;
    let gzip = Command::new("gzip")
        .args(["-9", "-n", "-c"])
        .stdin(file)
        .output();
    Some(gzip.ok()?.stdout.len())
}

#[test]
fn generated_modules() {
    let n_cases: u32 = match env::var("WASM_MEMINIT_CASES") {
        Ok(n) => n.parse().expect("WASM_MEMINIT_CASES is a number"),
        Err(_) => 2_000,
    };
    let mut tally = Tally::default();
    for (nth, giant) in [(1, false), (2, true)] {
        let strategy = match giant {
            true => proptest::strategy::Strategy::boxed(giants()),
            false => proptest::strategy::Strategy::boxed(ordinary()),
        };
        let config = Config {
            cases: if giant { n_cases / 8 } else { n_cases / 8 * 5 },
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[nth; 32]);
        let cell = core::cell::RefCell::new(&mut tally);
        TestRunner::new_with_rng(config, rng)
            .run(&strategy, |spec| {
                let fresh = Host {
                    fill: 0,
                    ..spec.host.clone()
                };
                check(
                    &spec.encode(),
                    &[spec.host.clone(), fresh],
                    &mut cell.borrow_mut(),
                )
                .map_err(TestCaseError::fail)
            })
            .unwrap_or_else(|err| panic!("{err}"));
    }
    for seed in 0..u64::from(n_cases / 4) {
        // Use different seeds from those of the differential tests.
        let wasm = smith_module(seed | 1 << 40);
        check(&wasm, &hosts(), &mut tally).unwrap_or_else(|err| panic!("seed {seed}: {err}"));
    }
    report(&format!("generated: {tally}"));
}
