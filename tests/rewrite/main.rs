//! Rewritten modules initialise their memories exactly as the originals do: packed modules on
//! their own, stripped modules on top of the image, externalized modules in memories of the
//! host.
//!
//! Inputs and oracles are those of the differential tests. `WASM_MEMINIT_CASES` sets the
//! number of generated modules (500), `WASM_MEMINIT_CORPUS` the directory of the corpus.

extern crate alloc;

mod damaged;
mod programs;
mod same_memory;
mod snapshot;

use std::io::{Seek, Write};
use std::process::Command;

use wasm_meminit_analysis::Module;
use wasm_meminit_image_builder::rewrite::{PackFor, PackOptions, pack};
use wasm_meminit_test_oracle::generate::{are_cases_set, check_generated, check_inputs};
use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::inputs::{self, Input};
use wasm_meminit_test_oracle::report::report;
use wasm_meminit_test_oracle::testsuite;

use crate::same_memory::{Tally, check};

fn hosts() -> Vec<Host> {
    vec![
        Host::new(&[1024, 4096, 65_536], 1024, 0),
        Host::new(&[666], 0, 0xa5),
    ]
}

fn check_all(test: &str, inputs: &[Input]) {
    let hosts = hosts();
    let tally: Tally = check_inputs(inputs, |input, tally| check(&input.wasm, &hosts, tally));
    report(&format!("{test}: {tally}"));
}

#[test]
fn the_test_suite() {
    check_all("test suite", &testsuite::modules());
}

#[test]
fn our_own_modules() {
    check_all("tests/modules", &inputs::own_modules());
}

#[test]
fn the_corpus() {
    let Some(modules) = inputs::corpus() else {
        return report("corpus: WASM_MEMINIT_CORPUS is not set");
    };
    let hosts = hosts();
    let tally: Tally = check_inputs(&modules, |input, tally| {
        if are_cases_set() || input.wasm.len() <= LARGE {
            check_sizes(input)?;
        } else {
            report(&format!(
                "{}: compressed only with WASM_MEMINIT_CASES",
                input.name
            ));
        }
        check(&input.wasm, &hosts, tally)
    });
    report(&format!("corpus: {tally}"));
}

/// Compressing a larger module again and again takes as long as all other tests together; `ci
/// --all` does it.
const LARGE: usize = 2 << 20;

/// What is packed to be small after compression is, by a compressor that is not ours.
fn check_sizes(input: &Input) -> Result<(), String> {
    let module = Module::parse(&input.wasm).map_err(|err| err.to_string())?;
    let before = gzipped_len(&input.wasm);
    for &objective in PackFor::ALL {
        let options = PackOptions::default().with_objective(objective);
        let packed = pack(&module, &options).map_err(|err| err.to_string())?;
        let is_promised = matches!(objective, PackFor::Balanced | PackFor::Compressed);
        let after = match packed.is_changed {
            // Compressing takes longer than everything else here.
            true if is_promised => gzipped_len(&packed.wasm),
            true => None,
            false => before,
        };
        report(&format!(
            "{}, {objective:?}: {} -> {} segments, data section {} -> {} bytes, \
             file {} -> {}, after gzip -9 {before:?} -> {after:?}",
            input.name,
            packed.before.segments,
            packed.after.segments,
            packed.before.bytes,
            packed.after.bytes,
            input.wasm.len(),
            packed.wasm.len(),
        ));
        if let (Some(before), Some(after)) = (before, after)
            && before < after
        {
            return Err(format!("{objective:?}: {before} -> {after} after gzip"));
        }
    }
    Ok(())
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
