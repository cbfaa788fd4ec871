//! offset expressions: decoded, shown and evaluated

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("expression", input));
