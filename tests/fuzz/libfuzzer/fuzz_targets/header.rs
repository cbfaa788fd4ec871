//! headers of artifacts, completed to files: both decoders agree

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("header", input));
