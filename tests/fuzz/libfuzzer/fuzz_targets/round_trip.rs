//! artifacts of generated modules under any policy: decoded, verified, encoded again

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("round_trip", input));
