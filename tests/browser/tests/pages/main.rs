//! The pages and pictures of the tool in Chromium. `cargo xtask browser` sets what they need.
//!
//! With `WASM_MEMINIT_SHOTS=FOLDER`, the tests save what they see.

mod chromium;
mod controls;
mod hostile;
mod huge;
mod layout;
mod looks;
mod numbers;
mod picture;
mod tab;
mod tool;
