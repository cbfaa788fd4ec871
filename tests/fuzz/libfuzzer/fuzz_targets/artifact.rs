//! artifacts, with their own checksums and with right ones: both decoders agree

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("artifact", input));
