//! Which modules are valid, so that their instantiation is defined.

use wasmparser::{Validator, WasmFeatures};

/// Whether a module is valid with every feature. Custom sections may be malformed; function
/// bodies are validated too.
pub fn is_valid(wasm: &[u8]) -> bool {
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(wasm)
        .is_ok()
}
