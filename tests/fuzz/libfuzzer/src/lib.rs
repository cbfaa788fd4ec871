//! A mutator of inputs that begin with a module: libFuzzer's own changes leave few of them valid.

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
    let mut mutator = WasmMutate::default();
    mutator.seed(seed.into()).fuel(FUEL);
    let wasm = mutator.run(wasm).ok()?.next()?.ok()?;
    let mutated = [wasm.as_slice(), rest].concat();
    (mutated.len() <= max_len).then_some(mutated)
}
