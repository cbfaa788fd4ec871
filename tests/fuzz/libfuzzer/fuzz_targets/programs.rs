//! generated programs before and after each rewrite: the same behaviour in wasmi

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("programs", input));
