//! A mutator of inputs that begin with a module: libFuzzer's own changes leave few of them valid.

use std::panic;

use wasm_meminit_fuzz::split_module;
use wasm_mutate::WasmMutate;

/// How many attempts of wasm-mutate one mutation takes, about.
const FUEL: u64 = 1_000;

/// Mutates an input with wasm-mutate or, every other time and where that is impossible, with
/// libFuzzer. Returns its new length.
pub fn mutate(data: &mut [u8], len: usize, max_len: usize, seed: u32) -> usize {
    let is_structured = seed % 2 == 0;
    let mutated = is_structured.then(|| mutated(&data[..len], max_len, seed / 2));
    match mutated.flatten() {
        Some(mutated) => {
            data[..mutated.len()].copy_from_slice(&mutated);
            mutated.len()
        }
        None => libfuzzer_sys::fuzzer_mutate(data, len, max_len),
    }
}

/// Returns an input with another valid module, followed by the same choices.
fn mutated(input: &[u8], max_len: usize, seed: u32) -> Option<Vec<u8>> {
    let (wasm, rest) = split_module(input)?;
    // It panics for some modules, such as one that exports a tag, and libFuzzer's hook would take
    // that for a finding.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mutated = panic::catch_unwind(|| {
        let mut mutator = WasmMutate::default();
        mutator.seed(seed.into()).fuel(FUEL);
        mutator.run(wasm).ok()?.next()?.ok()
    });
    panic::set_hook(hook);
    let wasm = mutated.ok()??;
    let mutated = [wasm.as_slice(), rest].concat();
    (mutated.len() <= max_len).then_some(mutated)
}
