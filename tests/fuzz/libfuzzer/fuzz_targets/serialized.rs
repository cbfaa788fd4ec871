//! serialised plans and initialisations: rejected, or usable and serialised again

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| wasm_meminit_fuzz::run("serialized", input));
