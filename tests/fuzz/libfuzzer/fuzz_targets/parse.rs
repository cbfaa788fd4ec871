//! modules and components: plans, images and artifacts of whatever is accepted

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("parse", input));
