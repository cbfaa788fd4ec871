//! calls of a pool, some refused by the system, compared with a model

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("pool", input));
