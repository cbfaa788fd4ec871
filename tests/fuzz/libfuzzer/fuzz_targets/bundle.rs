//! bundles: an accepted one is what its artifacts are encoded as

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("bundle", input));
