//! calls of the C API in any order, with any valid pointers and any numbers

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("c_api", input));
