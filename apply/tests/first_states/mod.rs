//! What the path under test offers, and the first states that all paths share.
#![allow(unused_imports, dead_code, reason = "each test takes what it needs")]

pub(crate) use wasm_meminit_test_support::first_states::*;
