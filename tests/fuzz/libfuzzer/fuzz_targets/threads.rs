//! start functions like wasm-ld's: what is baked is what they do

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use wasm_meminit_libfuzzer::mutate;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("threads", input));

fuzz_mutator!(|data: &mut [u8], len: usize, max_len: usize, seed: u32| {
    mutate(data, len, max_len, seed)
});
