//! start functions like wasm-ld's: what is baked is what they do

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("threads", input));
