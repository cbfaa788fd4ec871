//! valid modules: every way to initialise memories, compared with wasmi

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("instantiate", input));
