//! Parsing a module, compared with its translation by the reference: real modules from the
//! folder that `WASM_MEMINIT_CORPUS` names, in one run, round by round.

extern crate alloc;

#[path = "../../../src/bench/paired.rs"]
mod paired;

use core::convert::Infallible;
use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use wasm_meminit_analysis::Module;
use wasm_meminit_test_oracle::inputs;
use wasmtime_environ::wasmparser::{Parser, Validator, WasmFeatures};
use wasmtime_environ::{ModuleEnvironment, ModuleTypesBuilder, StaticModuleIndex, Tunables};

use crate::paired::{Way, measure};

fn translate(wasm: &[u8]) -> usize {
    let tunables = Tunables::default_host();
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut types = ModuleTypesBuilder::new(&validator);
    let index = StaticModuleIndex::from_u32(0);
    ModuleEnvironment::new(&tunables, &mut validator, &mut types, index)
        .translate(Parser::new(0), wasm)
        .expect("valid")
        .module
        .memories
        .len()
}

fn timed<T>(n: u32, run: impl Fn() -> T) -> Result<Duration, Infallible> {
    let start = Instant::now();
    (0..n).for_each(|_| drop(black_box(run())));
    Ok(start.elapsed())
}

fn main() {
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let time = Duration::from_secs(if is_bench { 5 } else { 0 });
    println!(
        "{:<32} {:>12} {:>14} {:>8}",
        "", "parse", "translation", "ratio"
    );
    for input in inputs::corpus().into_iter().flatten() {
        let mut ways = [
            Way::new(|n| timed(n, || Module::parse(&input.wasm).expect("valid"))),
            Way::new(|n| timed(n, || translate(&input.wasm))),
        ];
        let Ok(()) = measure(&mut ways, time, 1);
        let [parse, translation] = &ways;
        println!(
            "{:<32} {:>9.2} us {:>11.2} us {:>7.3}x",
            input.name,
            parse.median() / 1e3,
            translation.median() / 1e3,
            parse.ratio(translation)
        );
    }
}
