//! all rewrites of any module: valid, and the same memory

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("rewrite", input));
