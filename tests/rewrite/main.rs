//! Rewritten modules initialise their memories exactly as the originals do: packed modules on
//! their own, stripped modules on top of the image, externalized modules in memories of the
//! host.
//!
//! Inputs and oracles are those of the differential tests. `WASM_MEMINIT_CASES` sets the
//! number of generated modules (2,000), `WASM_MEMINIT_CORPUS` the directory of the corpus.

extern crate alloc;

mod damaged;
mod programs;
mod same_memory;
mod snapshot;

use std::io::{Seek, Write};
use std::process::Command;

use wasm_meminit_analysis::Module;
use wasm_meminit_image_builder::rewrite::{PackFor, PackOptions, pack};
use wasm_meminit_test_oracle::generate::check_generated;
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::inputs::{self, Input};
use wasm_meminit_test_oracle::testsuite;
use wasm_meminit_test_oracle::valid::is_valid;

use crate::same_memory::{Tally, check};

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
        return report("corpus: WASM_MEMINIT_CORPUS is not set");
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
    // Other modules than those of the differential tests.
    let tally: Tally = check_generated(1, &hosts(), |case, tally| {
        check(case.wasm, case.hosts, tally)
    });
    report(&format!("generated: {tally}"));
}
